/** Responses to a request that was sent before. */
const repeated = new WeakSet<Response>();

export function noteRepeated(response: Response): Response {
  repeated.add(response);
  return response;
}

/** Whether an earlier attempt may have had its effect, and only its response was lost. */
export function isRepeated(response: Response): boolean {
  return repeated.has(response);
}
