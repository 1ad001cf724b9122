/** What a registered name can be. */
export type RegisteredStatus = "SERVING" | "NOT_SERVING";

/** What a watcher can hear: a name that is not registered is SERVICE_UNKNOWN until it is. */
export type WatchedStatus = RegisteredStatus | "SERVICE_UNKNOWN";

/** Every value of `grpc.health.v1.HealthCheckResponse.ServingStatus`, by its name in health.proto. */
export type ServingStatus = WatchedStatus | "UNKNOWN";
