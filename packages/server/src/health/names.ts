import type { NameClass } from "./status-of.ts";

/** A name of the operator's own that answers like another. */
export interface HealthAlias {
  readonly name: string;
  readonly class: NameClass;
}

/** The names that every server answers for. */
export const builtInNames: ReadonlyMap<string, NameClass> = new Map([
  ["", "overall"],
  // What vLLM answers for, and what clients with client-side health checking ask (gRFC A17).
  ["vllm.grpc.engine.VllmEngine", "readiness"],
  ["readiness", "readiness"],
  ["liveness", "liveness"],
]);

/** All names with what they answer for. An alias does not take the place of a name that is there already. */
export function healthNames(aliases: readonly HealthAlias[]): ReadonlyMap<string, NameClass> {
  return new Map([...aliases.map(({ name, class: of }) => [name, of] as const), ...builtInNames]);
}
