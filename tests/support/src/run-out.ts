/** Runs a generator to its end and gives what it comes to, e.g. a push with its steps; throws what it throws. */
export async function runOut<Step, Result>(
  run: AsyncGenerator<Step, Result, void>,
  onStep: (step: Step) => unknown = () => undefined,
): Promise<Result> {
  for (;;) {
    const step = await run.next();
    if (step.done === true) return step.value;
    await onStep(step.value);
  }
}
