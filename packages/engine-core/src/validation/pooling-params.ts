import type { WireValue } from "../protocol/request.ts";
import type { RequestLimits } from "./request-limits.ts";
import { boolean, integer, invalid, never, optional, type Rule } from "./rules.ts";

/** POOLING_TASKS that need nothing beside the prompt (vllm/tasks.py at 0.32). */
const tasks = ["embed", "classify", "token_embed", "token_classify"];

const task: Rule = (value, field, limits) => {
  const known = tasks.filter((name) => limits.tasks.includes(name));
  if (typeof value !== "string" || !known.includes(value)) {
    throw invalid(field, known.length === 0 ? "left out: the model pools nothing" : known.join(" or "), value);
  }
};

const modelDecides = "what the model allows is not told by its engine";

/** By their order on the wire: PoolingParams (vllm/pooling_params.py at 0.32). */
const places: readonly (readonly [string, Rule])[] = [
  ["use_activation", optional(boolean)],
  ["dimensions", never(modelDecides)],
  ["step_tag_id", never(modelDecides)],
  ["returned_token_ids", never(modelDecides)],
  ["task", task],
  ["requires_token_ids", boolean],
  ["skip_reading_prefix_cache", optional(boolean)],
  ["late_interaction_params", never(modelDecides)],
  ["extra_kwargs", never(modelDecides)],
  ["output_kind", integer(0, 2)],
];

const leastPlaces = 5;

/** Throws `invalid-request` for pooling that the engine's model does not do; a generating model's engine dies of it. */
export function checkPoolingParams(params: readonly WireValue[], limits: RequestLimits): void {
  if (params.length < leastPlaces || params.length > places.length) {
    throw invalid("pooling_params", `an array of ${leastPlaces} to ${places.length} places`, params);
  }
  params.forEach((value, place) => {
    const [name, rule] = places[place] ?? [];
    if (name !== undefined) rule?.(value, name, limits);
  });
}
