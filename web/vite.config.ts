import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  // Relative addresses, so that a proxy may put the page under any path.
  base: "./",
  build: {
    target: "es2022",
    // A worklet is loaded by address; as a data: URL a strict content policy would refuse it.
    assetsInlineLimit: 0,
    // LiveKit's client is one piece of 590 kB, which is loaded when a room is joined.
    chunkSizeWarningLimit: 650,
  },
  worker: { format: "es" },
  server: {
    proxy: {
      "/api": { target: server },
      "/v1": { target: server },
      "/ws": { target: server, ws: true },
    },
  },
  test: {
    environment: "node",
    include: ["*.test.ts", "src/**/*.test.ts"],
    // Pure functions share nothing: one worker for all files starts once.
    isolate: false,
  },
});
