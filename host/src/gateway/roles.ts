/** What logins may do: each role may do all that the ones before it may. */
import { EdgePlugError } from "../errors.js";

export type Role = "viewer" | "operator" | "admin";
export const ROLES: readonly Role[] = ["viewer", "operator", "admin"];

/** Throws GATEWAY_ROLE. */
export function requireRole(login: { name: string; role: Role }, role: Role): void {
  if (ROLES.indexOf(login.role) >= ROLES.indexOf(role)) return;
  throw new EdgePlugError(
    "GATEWAY_ROLE",
    `${login.name} has the role ${login.role}; this needs the role ${role}.`,
  );
}
