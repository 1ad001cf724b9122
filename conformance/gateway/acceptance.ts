import { describe } from "node:test";
import { describeAnswers, describeEmbeddings } from "./acceptance-answers.ts";
import { describeSteering } from "./acceptance-steering.ts";
import { describeTrouble } from "./acceptance-trouble.ts";
import type { WorkerKind } from "./worker-kind.ts";

/**
 * The list by which a gateway's users judge a worker, as tests against the real gateway, for any engine: what it lists
 * and answers, whose slots it frees, what its clients notice of drains, kills and dead engines, and where it sends what.
 */
export function describeAcceptance(kind: WorkerKind): void {
  describe(`${kind.name} behind the gateway`, () => {
    describeAnswers(kind);
    describeEmbeddings(kind);
    describeTrouble(kind);
    describeSteering(kind);
  });
}
