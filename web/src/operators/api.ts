/** Asks the server for its workers, and asks things of them. */

import { keyHeaders } from "../call/address.ts";
import { answerProblem, reach } from "../call/info.ts";
import { ProblemError } from "../call/problems.ts";
import { type Fleet, readFleet } from "./fleet.ts";

/** What may be asked of a worker. */
export type Ask =
  | { act: "drain" }
  | { act: "resume" }
  | { act: "load"; model: string }
  | { act: "unload"; model: string };

const ANSWER_WITHIN_MS = 8000;
/** The server gives a worker two minutes to load a model. */
const DONE_WITHIN_MS = 130_000;

export function workersAddress(base: string): URL {
  return new URL("api/v1/workers", base);
}

/** Where something is asked of a worker; names may hold any character. */
export function askAddress(base: string, worker: string, ask: Ask): URL {
  const parts = [worker, ...("model" in ask ? ["models", ask.model] : []), ask.act];
  return new URL(`api/v1/workers/${parts.map(encodeURIComponent).join("/")}`, base);
}

/** Throws a `ProblemError` that says why there is no list. */
export async function fetchWorkers(base: string, key: string | null): Promise<Fleet> {
  const answer = await reach(workersAddress(base), {
    headers: keyHeaders(key),
    cache: "no-store",
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  if (!answer.ok) throw new ProblemError(await answerProblem(answer, key !== null));
  try {
    return readFleet(await answer.json());
  } catch {
    throw new ProblemError({ kind: "server-gone" });
  }
}

/** Null when it is done, else why not, in a sentence. */
export async function askWorker(
  base: string,
  key: string | null,
  worker: string,
  ask: Ask,
): Promise<string | null> {
  try {
    const answer = await fetch(askAddress(base, worker, ask), {
      method: "POST",
      headers: keyHeaders(key),
      signal: AbortSignal.timeout(DONE_WITHIN_MS),
    });
    return answer.ok ? null : refusal(answer.status, await answer.text());
  } catch {
    return "The server does not answer.";
  }
}

/** What a refusing answer says for people. */
export function refusal(status: number, body: string): string {
  const silent = `The server refused (${status}) and gave no reason.`;
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown } };
    return typeof error?.message === "string" && error.message !== "" ? error.message : silent;
  } catch {
    return silent;
  }
}
