// Lost cores as they are watched under Renode, without a debugger: here on QEMU, where a debugger has told the same before.
import { judge, loseCoreObserved, LOSSES, type Loss, type LostImage } from "@edgeplug/arm-suite";
import { BACKENDS } from "@edgeplug/test-support/backends";
import { QEMU_ELF, startBoard, type TestBoard } from "@edgeplug/test-support/board";
import { describe, expect, it, vi } from "vitest";

vi.setConfig({ testTimeout: 300_000 });

/** Clears the enable bit of the scan's interrupt in NVIC_ICER0 and returns. */
const SWITCH_SCAN_OFF = Buffer.from("024803490160704700bf00bf80e100e000000200", "hex");
const IMAGE: LostImage = { elf: QEMU_ELF, switchScanOff: SWITCH_SCAN_OFF, periodMs: 150 };
/** A board of QEMU's stands still only some milliseconds after it was told to. */
const SLACK_MS = 30;

const start = (): Promise<TestBoard> => startBoard("qemu", { debugger: false });

if (BACKENDS.includes("qemu"))
  describe.each(Object.keys(LOSSES) as Loss[])(
    "a core that is lost (%s), seen by its outputs alone,",
    (loss) => {
      it("comes back after the watchdog's period, and the host reads why", async () => {
        const options = { loss, inTrial: true, moment: "anywhere", afterMs: 5 } as const;
        const recovery = await loseCoreObserved(start, IMAGE, options);
        expect(judge(options, recovery)).toEqual([]);
        expect(recovery.untilResetMs).toBeGreaterThan(IMAGE.periodMs - SLACK_MS);
        expect(recovery.untilResetMs).toBeLessThan(IMAGE.periodMs + SLACK_MS);
        expect(recovery.bootMs).toBeGreaterThan(5);
      });
    },
  );
