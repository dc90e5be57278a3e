/** Asks the server for access to a LiveKit room, in the form of LiveKit's token endpoints. */

import { keyHeaders, tokenAddress, type WishedRoom } from "../address.ts";
import { answerProblem, reach } from "../info.ts";
import { type Problem, ProblemError } from "../problems.ts";

/** What lets its owner into one room, once. */
export interface Access {
  serverUrl: string;
  token: string;
}

const ANSWER_WITHIN_MS = 8000;

/**
 * Throws a `ProblemError` that says why there is no access. LiveKit's own `TokenSource.endpoint` asks in the same words,
 * but folds every refusal into one sentence, and a person needs to know which it was.
 */
export async function requestAccess(
  base: string,
  key: string | null,
  wished: WishedRoom,
): Promise<Access> {
  const answer = await reach(tokenAddress(base), {
    method: "POST",
    headers: { "Content-Type": "application/json", ...keyHeaders(key) },
    body: JSON.stringify(wished),
    cache: "no-store",
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  if (!answer.ok)
    throw new ProblemError(refusal(answer, await answerProblem(answer, key !== null)));
  try {
    return readAccess(await answer.json());
  } catch {
    throw new ProblemError({ kind: "livekit-off" });
  }
}

/** Reads the answer; throws where there is no way in. */
export function readAccess(body: unknown): Access {
  const { server_url: serverUrl, participant_token: token } = body as Record<string, unknown>;
  if (typeof serverUrl !== "string" || typeof token !== "string") {
    throw new TypeError("no access in the answer");
  }
  return { serverUrl, token };
}

/** At this door two answers mean something of their own. */
export function refusal({ status }: Pick<Response, "status">, problem: Problem): Problem {
  if (status === 404 || status === 405) return { kind: "livekit-off" };
  return status === 429 ? { ...problem, kind: "asked-too-often" } : problem;
}
