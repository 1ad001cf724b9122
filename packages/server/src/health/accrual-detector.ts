/** What a number of observed times comes to. */
export interface TimeDistribution {
  readonly count: number;
  readonly meanMs: number;
  readonly deviationMs: number;
}

/**
 * The last so many observed times, with mean and standard deviation: the sampling window of the accrual failure detector.
 *
 * Source: Hayashibara, Défago, Yared, Katayama, "The φ Accrual Failure Detector", SRDS 2004, section 4.
 */
export class TimeWindow {
  readonly #times: number[] = [];
  readonly #capacity: number;
  #next = 0;
  #distribution: TimeDistribution | undefined;

  /** `capacity` is at least 1; the oldest times are forgotten. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Takes a time that was observed `repeats` times in a row. */
  add(timeMs: number, repeats = 1): void {
    for (let i = 0; i < Math.min(repeats, this.#capacity); i++) {
      this.#times[this.#next] = timeMs;
      this.#next = (this.#next + 1) % this.#capacity;
    }
    this.#distribution = undefined;
  }

  /** Mean and deviation are 0 while nothing was observed. */
  get distribution(): TimeDistribution {
    this.#distribution ??= distributionOf(this.#times);
    return this.#distribution;
  }
}

function distributionOf(times: readonly number[]): TimeDistribution {
  const count = times.length;
  if (count === 0) return { count, meanMs: 0, deviationMs: 0 };
  const meanMs = times.reduce((sum, time) => sum + time, 0) / count;
  const variance = times.reduce((sum, time) => sum + (time - meanMs) ** 2, 0) / count;
  return { count, meanMs, deviationMs: Math.sqrt(variance) };
}

/**
 * The suspicion level φ after `elapsedMs` of waiting: -log10 of the probability that what is waited for comes later
 * still, if it follows a normal distribution. 1 is one mistake in ten, 8 one in a hundred million.
 *
 * It only grows with the time. `deviationMs` is above 0.
 */
export function phi(elapsedMs: number, { meanMs, deviationMs }: Omit<TimeDistribution, "count">): number {
  return -log10UpperTail((elapsedMs - meanMs) / deviationMs);
}

/** log10 of P(Z > z) for a standard normal Z. Taken as a logarithm throughout, so that no tail is too thin for it. */
function log10UpperTail(z: number): number {
  // Abramowitz and Stegun 26.2.11: the power series is exact to the last digits here, and loses them further out.
  if (z < 3) return z < -8 ? 0 : Math.log10(0.5 - density(z) * oddSeries(z));
  // Abramowitz and Stegun 26.2.14: Q(z) = Z(z) / (z + 1/(z + 2/(z + …)))
  let fraction = z;
  for (let k = 60; k >= 1; k--) fraction = z + k / fraction;
  return -(z * z) / 2 / Math.LN10 - Math.log10(Math.sqrt(2 * Math.PI)) - Math.log10(fraction);
}

function density(z: number): number {
  return Math.exp(-(z * z) / 2) / Math.sqrt(2 * Math.PI);
}

function oddSeries(z: number): number {
  let term = z;
  let sum = z;
  for (let odd = 3; Math.abs(term) > 1e-17 && odd < 400; odd += 2) {
    term *= (z * z) / odd;
    sum += term;
  }
  return sum;
}
