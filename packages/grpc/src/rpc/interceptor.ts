import type { Call } from "./call.ts";
import { promised } from "./promised-push.ts";
import type {
  BidiStreamingHandler,
  ClientStreamingHandler,
  Method,
  ServerStreamingHandler,
  UnaryHandler,
} from "./service.ts";

/**
 * Stands around handlers: for what every method needs, such as credentials that are checked, a span or a line in a log.
 * `next` runs the handler, or the interceptor behind this one, and answers what that answers: the response or a promise
 * of it, or a promise of a stream's end, pushed ones included. A call is refused by throwing in place of calling `next`;
 * what an interceptor answers is the answer. It runs when a unary request is there, and when a stream of requests begins.
 */
export type Interceptor = (call: Call, method: Method, next: () => unknown) => unknown;

/** The method with the interceptors around its handler, the first outermost. */
export function intercepted(method: Method, interceptors: readonly Interceptor[]): Method {
  return interceptors.reduceRight(within, method);
}

function within(inner: Method, interceptor: Interceptor): Method {
  switch (inner.kind) {
    case "unary": {
      const { handler } = inner;
      const around: UnaryHandler<unknown, unknown> = (request, call) =>
        interceptor(call, inner, () => handler(request, call));
      return { ...inner, handler: around };
    }
    case "server-streaming": {
      const { handler } = inner;
      const around: ServerStreamingHandler<unknown, unknown> = async (request, call) => {
        await interceptor(call, inner, () => handler(request, call));
      };
      return { ...inner, handler: around };
    }
    case "server-push":
      return within({ ...inner, kind: "server-streaming", handler: promised(inner.handler) }, interceptor);
    case "client-streaming": {
      const { handler } = inner;
      const around: ClientStreamingHandler<unknown, unknown> = async (call) =>
        interceptor(call, inner, () => handler(call));
      return { ...inner, handler: around };
    }
    case "bidi-streaming": {
      const { handler } = inner;
      const around: BidiStreamingHandler<unknown, unknown> = async (call) => {
        await interceptor(call, inner, () => handler(call));
      };
      return { ...inner, handler: around };
    }
  }
}
