/** Starts the page. */

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { Call } from "./call/call.ts";
import { App } from "./view/App.tsx";
import { LevelFeed } from "./view/levels.ts";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");

const call = new Call(document.baseURI);
const levels = new LevelFeed(() => call.loudness());

createRoot(root).render(
  <StrictMode>
    <App call={call} levels={levels} />
  </StrictMode>,
);
