/** Plays one attack: attacker.ts PORT NAME MILLISECONDS. Says on one line what became of its connections, as JSON. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Attack, attacks } from "./attacks.ts";
import { HostileClient } from "./hostile-client.ts";

/** What became of an attack. */
export interface Outcome {
  readonly connections: number;
  /** How many connections the server ended, by the reason that it gave. */
  readonly ended: Readonly<Record<string, number>>;
}

const graceMs = 500;

const [port, name, ms] = process.argv.slice(2);
const attack = attacks.find((one: Attack) => one.name === name);
if (attack === undefined) throw new Error(`there is no attack "${name}"`);
const clients = new Set<HostileClient>();
const ended: Record<string, number> = {};
let connections = 0;
const signal = AbortSignal.timeout(Number(ms));
const arena = {
  port: Number(port),
  signal,
  connect: () => {
    const client = new HostileClient(Number(port));
    connections += 1;
    clients.add(client);
    void client.ended.then(({ reason }) => {
      clients.delete(client);
      if (!signal.aborted || client.reason !== undefined) ended[reason] = (ended[reason] ?? 0) + 1;
    });
    return client;
  },
};
// Some attacks hang in a write that the server does not take; that is what they are about.
await Promise.race([attack.play(arena), sleep(Number(ms) + graceMs)]);
const outcome: Outcome = { connections, ended };
console.log(JSON.stringify(outcome));
process.exit(0);
