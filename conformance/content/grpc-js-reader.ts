// Reads counted streams slowly with grpc-js and says what it found as a line of JSON.
// Its arguments are those that every reader of this folder takes: TARGET SEED STREAMS MESSAGES CANCELLED.
import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { seeded } from "../harness/seeded.ts";
import { numberedMessage } from "../transport/numbered-message.ts";

const [target = "", ...numbers] = process.argv.slice(2);
const [seed = 0, streams = 0, messages = 0, cancelled = 0] = numbers.map(Number);
const random = seeded(seed);
const below = (bound: number): number => Math.floor(random() * bound);
const asTheyAre = (bytes: Buffer): Buffer => bytes;

const clients = Array.from(
  { length: 4 },
  () =>
    new Client(target, credentials.createInsecure(), {
      // Less than 64 KiB is not possible: the client takes the difference as an addition to its window.
      "grpc-node.flow_control_window": 65_536 + below(200_000),
      "grpc.use_local_subchannel_pool": 1,
    }),
);
let total = 0;
const wrong: string[] = [];
await Promise.all(
  Array.from({ length: streams + cancelled }, async (_, stream) => {
    const stop = stream < streams ? messages : 1 + below(messages - 1);
    try {
      await read(clients[stream % clients.length] as Client, stream, stop);
      total += stop;
    } catch (thrown) {
      wrong.push(`stream ${stream}: ${(thrown as Error).message}`);
    }
  }),
);
for (const client of clients) client.close();
console.log(JSON.stringify({ messages: total, wrong }));

/** Takes `stop` messages and cancels when there are more; rejects when one is wrong. */
async function read(client: Client, stream: number, stop: number): Promise<void> {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(stream, 0);
  head.writeUInt32BE(messages, 4);
  const path = "/tokenwire.test.Counting/Count";
  const call = client.makeServerStreamRequest(path, asTheyAre, asTheyAre, head, new Metadata());
  let number = 0;
  try {
    for await (const message of call) {
      if (number === stop) {
        // A cancelled call may still hand over what was received before.
        if (stop === messages) throw new Error("more came than was asked for");
        continue;
      }
      if (!numberedMessage(stream, number).equals(message)) throw new Error(`message ${number} is wrong`);
      number += 1;
      if (number === stop && stop < messages) call.cancel();
      else if (random() < 1 / 3_000) await sleep(below(10));
    }
  } catch (thrown) {
    if (number !== stop || (thrown as ServiceError).code !== status.CANCELLED) throw thrown;
    return;
  }
  if (number !== messages) throw new Error(`ended well after ${number} messages`);
}
