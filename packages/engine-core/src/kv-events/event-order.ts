/** What follows from the messages of a publisher and of its replay. */
export interface EventOrderEvents<Payload> {
  /** Each payload once, in the order of the numbers. */
  deliver(payload: Payload, sequence: number): void;
  /** Asks the publisher for what it has from this number on. False when that is not possible now. */
  ask(from: number): boolean;
  /** Everything before `sequence` that was not delivered is lost for good; undefined: nobody knows how much it was. */
  lost(sequence: number | undefined): void;
  /** The publisher counts from 0 again: it is another process. */
  restarted(): void;
}

/** What waits for an answer of the replay. More of it means that there will be none. */
const mostPending = 16_384;

/**
 * Brings live messages of a publisher, which may drop some, and the answers of its replay into one sequence without holes, or
 * says that there is one. It knows no sockets and no time.
 *
 * A replay may have holes as well (ROUTER drops what a slow reader does not take), so it is asked again as long as each
 * answer brings something new.
 */
export class EventOrder<Payload> {
  readonly #events: EventOrderEvents<Payload>;
  /** The number that has to come. */
  #next = 0;
  /** The highest that came live on this connection, or was known before it. */
  #lastLive = -1;
  #pending: { readonly sequence: number; readonly payload: Payload }[] = [];
  #isAsking = false;
  #hasProgressed = false;
  #hasHole = false;
  /** What was published before we came is not known yet. */
  #beginsUnknown: boolean;

  /** `beginsUnknown`: the publisher may have published before anybody listened. */
  constructor(beginsUnknown: boolean, events: EventOrderEvents<Payload>) {
    this.#beginsUnknown = beginsUnknown;
    this.#events = events;
  }

  get isAsking(): boolean {
    return this.#isAsking;
  }

  /** There is a connection, which may not have been there for some time. */
  connected(): void {
    this.#lastLive = Math.max(this.#lastLive, this.#next - 1);
    this.check();
  }

  /** Looks for what was missed without anything that came after it. */
  check(): void {
    if (!this.#isAsking) this.#ask();
  }

  live(sequence: number, payload: Payload): void {
    if (sequence <= this.#lastLive) this.#restart();
    this.#lastLive = sequence;
    if (this.#isAsking || sequence > this.#next) {
      this.#pending.push({ sequence, payload });
      if (!this.#isAsking) this.#ask();
      else if (this.#pending.length > mostPending) this.replayEnded(false);
      return;
    }
    if (sequence === this.#next) this.#deliver(sequence, payload);
  }

  replayed(sequence: number, payload: Payload): void {
    if (!this.#isAsking || this.#hasHole || sequence < this.#next) return;
    if (sequence > this.#next && this.#hasProgressed) {
      this.#hasHole = true;
      return;
    }
    // The first of an answer is the oldest that the publisher has.
    if (sequence > this.#next) this.#lose(sequence);
    this.#hasProgressed = true;
    this.#deliver(sequence, payload);
  }

  /** The answer is at its end, or given up (`isAnswered` false). */
  replayEnded(isAnswered: boolean): void {
    if (!this.#isAsking) return;
    this.#isAsking = false;
    if (this.#beginsUnknown && !isAnswered && !this.#hasProgressed) this.#events.lost(undefined);
    this.#beginsUnknown = false;
    this.#pending = this.#pending.filter(({ sequence }) => sequence >= this.#next);
    // What came live says that nothing is missing before it; without that only an answer with nothing new does.
    const isWhole = this.#pending[0]?.sequence === this.#next;
    if (this.#hasProgressed && !isWhole) this.#ask();
    else this.#catchUp();
  }

  /** Delivers what waited. A hole in it is asked for unless the last answer brought nothing. */
  #catchUp(): void {
    const mayAsk = this.#hasProgressed;
    const pending = this.#pending;
    this.#pending = [];
    for (const [index, { sequence, payload }] of pending.entries()) {
      if (sequence > this.#next && mayAsk) {
        this.#pending = pending.slice(index);
        this.#ask();
        return;
      }
      if (sequence > this.#next) this.#lose(sequence);
      this.#deliver(sequence, payload);
    }
  }

  #ask(): void {
    this.#isAsking = true;
    this.#hasProgressed = false;
    this.#hasHole = false;
    if (!this.#events.ask(this.#next)) this.replayEnded(false);
  }

  #deliver(sequence: number, payload: Payload): void {
    this.#next = sequence + 1;
    this.#events.deliver(payload, sequence);
  }

  #lose(before: number): void {
    this.#next = before;
    this.#events.lost(before);
  }

  #restart(): void {
    this.#pending = [];
    this.#isAsking = false;
    this.#next = 0;
    this.#lastLive = -1;
    this.#beginsUnknown = false;
    this.#events.restarted();
  }
}
