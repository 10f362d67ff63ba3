import { globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

// eslint-disable-next-line no-restricted-exports -- eslint reads its configuration from the default export
export default tseslint.config(
  // AssemblyScript is written in .ts files but is another language
  globalIgnores([
    "**/dist/",
    "**/build/",
    "**/generated/",
    "firmware/sdk/",
    "firmware/agents/",
    "host/templates/",
    "tests/bench/workloads/",
    "node_modules/",
  ]),
  ...tseslint.configs.strict,
  ...tseslint.configs.stylistic,
  {
    rules: {
      eqeqeq: "error",
      "no-restricted-exports": ["error", { restrictDefaultExports: { direct: true } }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "@typescript-eslint/no-invalid-void-type": "off",
    },
  },
);
