import type { EngineCoreOutputs, ReadyFacts } from "@tokenwire/engine-core";
import { EngineError } from "../../engine/errors.ts";
import type { EngineLoad } from "../../engine/facts.ts";
import { chooseRank } from "./choose-rank.ts";
import { limitsOf } from "./facts.ts";
import { RankLoad } from "./rank-load.ts";

interface Rank {
  load: RankLoad;
  isAlive: boolean;
}

/** The rank that a request goes to, and where its work is counted. */
export interface ChosenRank {
  readonly rank: number;
  readonly load: RankLoad;
}

/** The data-parallel ranks: who of them lives, and what each has to do. */
export class Ranks {
  readonly #ranks: readonly Rank[];
  #last = -1;

  constructor(ready: readonly ReadyFacts[]) {
    this.#ranks = ready.map((facts, rank) => ({ load: new RankLoad(rank, limitsOf(facts)), isAlive: true }));
  }

  get live(): readonly number[] {
    return [...this.#ranks.keys()].filter((rank) => this.isAlive(rank));
  }

  get loads(): readonly EngineLoad[] {
    return this.#ranks.filter(({ isAlive }) => isAlive).map(({ load }) => load.load);
  }

  isAlive(rank: number): boolean {
    return this.#ranks[rank]?.isAlive === true;
  }

  lost(rank: number): void {
    const lost = this.#ranks[rank];
    if (lost !== undefined) lost.isAlive = false;
  }

  /** Another process is this rank now. Its requests of before have ended. */
  returned(rank: number, facts: ReadyFacts): void {
    const returned = this.#ranks[rank];
    if (returned === undefined) return;
    returned.load = new RankLoad(rank, limitsOf(facts));
    returned.isAlive = true;
  }

  /** The scheduler's figures in this message are read when somebody asks for the load. */
  received(message: EngineCoreOutputs): void {
    this.#ranks[message.engineIndex]?.load.received(message);
  }

  /** Throws `invalid-argument` for a rank that was never there. */
  assertKnown(rank: number): void {
    if (Number.isInteger(rank) && rank >= 0 && rank < this.#ranks.length) return;
    const field = "data_parallel_rank";
    const range = `from 0 to ${this.#ranks.length - 1}`;
    throw new EngineError("invalid-argument", `${field}: must be ${range}, got ${rank}`, { field });
  }

  /** The pinned rank, or the one with the least work. Throws `unavailable` when it is lost, or all are. */
  choose(pinned: number | undefined): ChosenRank {
    const rank = pinned ?? this.#leastWork();
    const chosen = rank === undefined ? undefined : this.#ranks[rank];
    if (rank === undefined || chosen?.isAlive !== true) {
      throw new EngineError("unavailable", `data-parallel rank ${rank ?? 0} is lost`);
    }
    if (pinned === undefined) this.#last = rank;
    return { rank, load: chosen.load };
  }

  #leastWork(): number | undefined {
    const live = this.live;
    if (live.length < 2) return live[0];
    const choices = this.#ranks.flatMap(({ load, isAlive }, rank) =>
      isAlive ? [{ rank, open: load.open, maxRunningRequests: load.maxNumSeqs }] : [],
    );
    return chooseRank(choices, this.#last);
  }
}
