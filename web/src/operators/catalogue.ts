/** The models of the server's catalogue, and which of them it has. */

import { keyHeaders } from "../call/address.ts";
import { fields, number, string } from "./fleet.ts";

export interface CatalogueModel {
  id: string;
  /** What it is for, in the catalogue's word. */
  kind: string;
  sizeBytes: number;
  licence: string;
  /** All its files are there. */
  present: boolean;
}

const ANSWER_WITHIN_MS = 8000;

const KIND_LABELS: Record<string, string> = {
  stt: "Recognition",
  tts: "Speech",
  vad: "Speech detection",
  turn: "End of turn",
  denoise: "Noise removal",
};

/** Null where there is no answer: the workers matter more, and what they say tells why. */
export async function fetchCatalogue(
  base: string,
  key: string | null,
): Promise<CatalogueModel[] | null> {
  try {
    const answer = await fetch(new URL("api/v1/models", base), {
      headers: keyHeaders(key),
      cache: "no-store",
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    return answer.ok ? readCatalogue(await answer.json()) : null;
  } catch {
    return null;
  }
}

export function readCatalogue(body: unknown): CatalogueModel[] {
  const { models } = fields(body);
  if (!Array.isArray(models)) return [];
  return models
    .map((value) => {
      const model = fields(value);
      return {
        id: string(model["id"]),
        kind: string(model["kind"]),
        sizeBytes: number(model["size_bytes"]),
        licence: string(model["licence"]),
        present: model["present"] === true,
      };
    })
    .filter(({ id }) => id !== "");
}

export function kindLabel(kind: string): string {
  return KIND_LABELS[kind] ?? kind;
}

/** A size as people say it, as in `147 MB`. */
export function sizeText(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  if (bytes >= 1e6) return `${Math.round(bytes / 1e6)} MB`;
  return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
}
