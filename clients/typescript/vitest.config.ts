import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/unit/**/*.test.ts", "test/vectors/**/*.test.ts"],
    // The vectors go over real sockets, and the machine may be busy.
    testTimeout: 60_000,
  },
});
