import type { ProfileResponse, StartProfileRequest, StopProfileRequest } from "../../generated/common.ts";
import type { UnaryHandler } from "../../rpc/call.ts";
import { GrpcStatusError } from "../../rpc/status.ts";

/** StartProfile and StopProfile: always UNIMPLEMENTED, because no engine here has a profiler. */
export const profileHandler: UnaryHandler<StartProfileRequest | StopProfileRequest, ProfileResponse> = async () => {
  throw GrpcStatusError.of("UNIMPLEMENTED", "this engine has no profiler");
};
