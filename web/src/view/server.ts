/** What the page knows about its server, asked again on demand. */

import { useCallback, useEffect, useState } from "react";

import { storedKey } from "../call/address.ts";
import { fetchInfo, type ServerInfo } from "../call/info.ts";
import { type Problem, problemOf } from "../call/problems.ts";

interface Server {
  info: ServerInfo | null;
  problem: Problem | null;
}

export function useServerInfo(): Server & { refresh: () => void } {
  const [server, setServer] = useState<Server>({ info: null, problem: null });
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    let current = true;
    ask().then(
      (answer) => {
        if (current) setServer(answer);
      },
      () => undefined,
    );
    return () => {
      current = false;
    };
  }, [asked]);
  const refresh = useCallback(() => {
    setAsked((count) => count + 1);
  }, []);
  return { ...server, refresh };
}

async function ask(): Promise<Server> {
  const key = storedKey();
  try {
    const info = await fetchInfo(document.baseURI, key);
    const needsKey = info.authRequired && key === null;
    return { info, problem: needsKey ? { kind: "key-required" } : null };
  } catch (error) {
    return { info: null, problem: problemOf(error) };
  }
}
