/** What has a turn: a socket that has bytes to write, or bytes that wait to be read. */
export interface TurnTaker {
  takeTurn(): void;
}

let waiting: TurnTaker[] = [];

/**
 * Gives a turn at the end of this round of the event loop, when what came and what timers did is there; who asks in its turn
 * has the next one. One immediate serves all, because making and entering one costs as much as filling a frame
 * (bench/transport, e256).
 */
export function scheduleTurn(taker: TurnTaker): void {
  if (waiting.push(taker) === 1) setImmediate(giveTurns);
}

function giveTurns(): void {
  const takers = waiting;
  waiting = [];
  let given = 0;
  try {
    for (; given < takers.length; given += 1) takers[given]?.takeTurn();
  } finally {
    // One that throws ends the program, unless the program says otherwise; then the others still have theirs.
    if (given < takers.length) for (const taker of takers.slice(given + 1)) scheduleTurn(taker);
  }
}
