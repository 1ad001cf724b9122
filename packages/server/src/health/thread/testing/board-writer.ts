/** A thread that writes records without a pause: of `length` bytes, all of one value, both changing with each record. */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { BoardMemory } from "../board-memory.ts";

export function startBoardWriter(memory: BoardMemory): Worker {
  return new Worker(new URL(import.meta.url), { workerData: memory.buffer, execArgv: [] });
}

/** The record number `n`. */
export function uniformRecord(n: number, capacityBytes: number): Uint8Array {
  const value = n % 251;
  return new Uint8Array(capacityBytes - value).fill(value);
}

if (!isMainThread && workerData instanceof SharedArrayBuffer) {
  const memory = new BoardMemory(workerData);
  parentPort?.postMessage("writing");
  for (let n = 1; ; n += 1) memory.write(uniformRecord(n, memory.capacityBytes));
}
