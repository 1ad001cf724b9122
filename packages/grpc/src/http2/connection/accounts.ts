import type { Limits } from "../../limits.ts";
import { Http2Error } from "../http2-error.ts";
import { Budget } from "./budget.ts";
import { PingPolice } from "./ping-police.ts";

/** A request taken back after this was more than a burst of noise. */
const resetMatureMs = 1_000;
/** A frame of so much content makes up for one without any. */
const earningBytes = 1_024;

/**
 * What a client has cost and earned: frames without content, requests taken back and pings on one side, content and answers
 * on the other. Every charge throws ENHANCE_YOUR_CALM when it is one too many.
 */
export class Accounts {
  readonly #control: Budget;
  readonly #resets: Budget;
  readonly #pings: PingPolice;
  /** What went out since it was counted. */
  #hasSent = false;
  #worthSent = 0;
  #answers = 0;

  constructor(limits: Limits, nowMs: number) {
    this.#control = new Budget(limits.controlFrameBurst, limits.controlFramesPerSecond, nowMs);
    this.#resets = new Budget(limits.resetBurst, limits.resetsPerSecond, nowMs);
    this.#pings = new PingPolice(limits);
  }

  /** Content came. */
  received(bytes: number): void {
    if (bytes >= earningBytes) this.#control.earn(Math.floor(bytes / earningBytes));
  }

  /** An answer went out whole. */
  answered(): void {
    this.#answers += 1;
  }

  /** HEADERS or DATA frames went out; `worth` is their number, but 0 for one that a tiny window made short. */
  sent(worth: number): void {
    this.#hasSent = true;
    this.#worthSent += worth;
  }

  /** Counts what went out. Only before a charge and now and then, because frames that go out are many and charges are few. */
  settle(): void {
    if (!this.#hasSent) return;
    this.#control.earn(this.#worthSent + this.#answers);
    this.#resets.earn(this.#answers);
    this.#pings.forgive();
    this.#hasSent = false;
    this.#worthSent = 0;
    this.#answers = 0;
  }

  /** A frame without content came, or work that content does not pay for. */
  charge(cost: number, nowMs: number): void {
    this.settle();
    if (!this.#control.spend(cost, nowMs)) throw calm("too many frames without content");
  }

  /**
   * A request that is taken back at once costs us its work and the client nothing (CVE-2023-44487), also when the client
   * breaks a rule so that it is us who reset it (CVE-2025-8671).
   */
  chargeReset(stream: { readonly headersSent: boolean; readonly openedAtMs: number }, nowMs: number): void {
    if (stream.headersSent || nowMs - stream.openedAtMs >= resetMatureMs) return;
    this.settle();
    if (!this.#resets.spend(1, nowMs)) throw calm("too many requests taken back at once");
  }

  /** A PING came. */
  chargePing(nowMs: number, hasCalls: boolean): void {
    this.settle();
    if (!this.#pings.allows(nowMs, hasCalls)) throw calm("too_many_pings");
  }
}

function calm(sentence: string): Http2Error {
  return new Http2Error("ENHANCE_YOUR_CALM", sentence);
}
