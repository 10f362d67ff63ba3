/** Whether a device's name stands for a choice among the boards that are there: `auto`, `id:PREFIX`. */
export function isSelector(name: string): boolean {
  return name === "auto" || name.startsWith("id:");
}
