/** What ended or refused something between us and an engine core, with the facts that explain it. */
export type EngineCoreFault =
  | { readonly kind: "not-ready"; readonly sentence: string }
  | { readonly kind: "dead"; readonly engineIndex: number; readonly sentence: string }
  | { readonly kind: "bad-frame"; readonly sentence: string }
  | { readonly kind: "invalid-request"; readonly field: string; readonly sentence: string }
  | { readonly kind: "call-failed"; readonly method: string; readonly sentence: string }
  | { readonly kind: "closed"; readonly sentence: string };

/** The one error of this package; match on `fault.kind`. */
export class EngineCoreError extends Error {
  override readonly name = "EngineCoreError";
  readonly fault: EngineCoreFault;

  constructor(fault: EngineCoreFault, options?: { readonly cause?: unknown }) {
    super(fault.sentence, options);
    this.fault = fault;
  }
}
