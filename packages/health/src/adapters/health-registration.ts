/** A health service on somebody's server. */
export interface HealthRegistration {
  /**
   * Ends every Watch with UNAVAILABLE once the last status is with its client, and from now on a new Watch as soon as it
   * heard the current one. A Watch never ends by itself, so a server that shuts down by waiting for its calls waits for
   * this. Call `table.shutdown()` first: NOT_SERVING is then what the watchers hear last. Check and List go on.
   */
  endWatches(): void;
}
