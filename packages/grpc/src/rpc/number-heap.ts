/** Numbers of which the least is at hand: adding and taking it cost the logarithm of how many there are. */
export class NumberHeap {
  #numbers: number[] = [];

  get size(): number {
    return this.#numbers.length;
  }

  /** The least number, or undefined. */
  get least(): number | undefined {
    return this.#numbers[0];
  }

  add(number: number): void {
    const numbers = this.#numbers;
    let at = numbers.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = numbers[parent] as number;
      if (above <= number) break;
      numbers[at] = above;
      at = parent;
    }
    numbers[at] = number;
  }

  /** Takes the least number out; undefined when there is none. */
  take(): number | undefined {
    const numbers = this.#numbers;
    const least = numbers[0];
    const last = numbers.pop();
    if (last === undefined || numbers.length === 0) return least;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= numbers.length) break;
      if (child + 1 < numbers.length && (numbers[child + 1] as number) < (numbers[child] as number)) child += 1;
      if ((numbers[child] as number) >= last) break;
      numbers[at] = numbers[child] as number;
      at = child;
    }
    numbers[at] = last;
    return least;
  }

  /** Has these numbers from now on, in place of its own. */
  replace(numbers: Iterable<number>): void {
    // What is sorted is a heap.
    this.#numbers = [...numbers].sort((a, b) => a - b);
  }
}
