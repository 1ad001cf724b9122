/** A {@link VllmEngineContext.wait} whose time passes when a test says so. */
export class ManualWait {
  #nowMs = 1_000_000;
  #waiters: { readonly untilMs: number; readonly resolve: () => void }[] = [];
  #watchers: { readonly waiting: number; readonly resolve: () => void }[] = [];

  readonly now = (): number => this.#nowMs;

  readonly wait = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const waiter = { untilMs: this.#nowMs + ms, resolve };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener("abort", () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(signal.reason);
      });
      this.#waiters.push(waiter);
      for (const { waiting, resolve: seen } of this.#watchers) if (this.#waiters.length >= waiting) seen();
    });

  /** Waits that are under way. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /** Resolves when so many waits are under way. */
  async until(waiting: number): Promise<void> {
    if (this.#waiters.length < waiting) await new Promise<void>((resolve) => this.#watchers.push({ waiting, resolve }));
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#waiters.filter(({ untilMs }) => untilMs <= this.#nowMs);
    this.#waiters = this.#waiters.filter(({ untilMs }) => untilMs > this.#nowMs);
    for (const { resolve } of due) resolve();
  }
}
