/** edgeplug new */
import { relative } from "node:path";

import { Command, Option } from "commander";

import { newAgent, TEMPLATES, type NewAgent, type Template } from "../agent/new-agent.js";
import { Output } from "./output.js";

const DEV = "edgeplug dev";
const DEV_HINT = "      # each save runs at once, on a simulated board, until Ctrl-C";

interface NewOptions {
  template: Template;
  json?: boolean;
}

export function newCommand(): Command {
  return new Command("new")
    .summary("begin an agent: source, manifest, a test that passes")
    .description(
      "Makes the folder NAME with an agent in it that builds, and a unit test that passes: a control agent, which runs once a " +
        "scan, or a request agent, which answers requests. With settings for editors, so that types and the compiler's errors show.",
    )
    .argument("<name>", "the agent's name, and that of its folder; may be a path")
    .addOption(new Option("--template <kind>", "what kind of agent").choices(TEMPLATES).default("control"))
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug new my-agent\n  edgeplug new agents/my-hash --template request",
    )
    .action(async (name: string, options: NewOptions) => {
      const agent = await newAgent(name, options.template);
      const next = nextCommands(agent);
      new Output(options).result(
        [
          `${agent.name}: a ${agent.template} agent in ${relative("", agent.folder) || "."}`,
          ...next.map((line) => `  ${line}${line === DEV ? DEV_HINT : ""}`),
        ],
        { ...agent, next },
      );
    });
}

function nextCommands({ folder, ready }: NewAgent): string[] {
  const here = relative("", folder);
  return [
    ...(here === "" ? [] : [`cd ${/[^\w./-]/.test(here) ? `'${here}'` : here}`]),
    ...(ready ? [] : ["npm install"]),
    "npm test",
    DEV,
    "edgeplug build",
    "edgeplug pack",
    "edgeplug-push --device sim: build/agent.epk",
  ];
}
