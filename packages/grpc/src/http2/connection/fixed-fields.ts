let nextSlot = 0;

/**
 * Fields that go out with call after call. Each connection indexes them once and keeps the few bytes that stand for
 * them from then on, so make these once per process and not per call.
 */
export class FixedFields {
  /** Names and values by turns; names in lower case. */
  readonly fields: readonly string[];
  /** Where each connection keeps the encoded bytes. */
  readonly slot: number;

  constructor(fields: readonly string[]) {
    this.fields = fields;
    this.slot = nextSlot;
    nextSlot += 1;
  }
}
