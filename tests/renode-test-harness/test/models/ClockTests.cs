using System.Linq;

/// <summary>RCC, power and PWR.</summary>
public static class ClockTests
{
    public static void Run()
    {
        Clocks();
        Causes();
        Power();
    }

    private static void Clocks()
    {
        Check.Test("rcc: each oscillator is ready once it is on, and not before", () =>
        {
            var board = new Board();
            Check.Equal(board.Rcc.ReadDoubleWord(0) & (1u << 10 | 1u << 17 | 1u << 25), 0u, "HSIRDY, HSERDY, PLLRDY after a reset");
            Check.Equal(board.Rcc.ReadDoubleWord(0) & 3, 3u, "MSION, MSIRDY after a reset");
            board.Rcc.WriteDoubleWord(0, 1u << 8 | 1u << 16 | 1u << 24);
            Check.Equal(board.Rcc.ReadDoubleWord(0), 1u << 8 | 1u << 10 | 1u << 16 | 1u << 17 | 1u << 24 | 1u << 25, "RCC_CR");
            board.Rcc.WriteDoubleWord(0, 0);
            Check.Equal(board.Rcc.ReadDoubleWord(0), 0u, "RCC_CR when all are off");
        });
        Check.Test("rcc: LSI, LSE and HSI48 are ready once they are on", () =>
        {
            var board = new Board();
            foreach(var offset in new[] { 0x90, 0x94, 0x98 })
            {
                Check.Equal(board.Rcc.ReadDoubleWord(offset) & 2, 0u, "off");
                board.Rcc.WriteDoubleWord(offset, 1);
                Check.Equal(board.Rcc.ReadDoubleWord(offset) & 3, 3u, "on");
            }
        });
        Check.Test("rcc: a PLL that fails never becomes ready", () =>
        {
            var board = new Board();
            board.Rcc.PllFails = true;
            board.Rcc.WriteDoubleWord(0, 1u << 24);
            Check.Equal(board.Rcc.ReadDoubleWord(0) & 1u << 25, 0u, "PLLRDY");
        });
        Check.Test("rcc: the system clock is the one that was chosen", () =>
        {
            var board = new Board();
            for(var clock = 0u; clock < 4; clock++)
            {
                board.Rcc.WriteDoubleWord(0x08, clock | 8u << 4);
                Check.Equal(board.Rcc.ReadDoubleWord(0x08), clock | clock << 2 | 8u << 4, "RCC_CFGR");
            }
        });
        Check.Test("rcc: enable registers keep what is written until a reset", () =>
        {
            var board = new Board();
            board.Rcc.WriteDoubleWord(0x4C, 0x2007);
            Check.Equal(board.Rcc.ReadDoubleWord(0x4C), 0x2007u, "AHB2ENR");
            board.Machine.Reset();
            Check.Equal(board.Rcc.ReadDoubleWord(0x4C), 0u, "AHB2ENR after a reset");
        });
        Check.Test("pwr: every voltage range is reached at once, and VDDIO2 stays on until a reset", () =>
        {
            var board = new Board();
            Check.Equal(board.Pwr.ReadDoubleWord(0x00), 2u << 9, "CR1 after a reset");
            board.Pwr.WriteDoubleWord(0x00, 0);
            Check.Equal(board.Pwr.ReadDoubleWord(0x14) & 1u << 10, 0u, "VOSF");
            board.Pwr.WriteDoubleWord(0x14, 1u << 10);
            Check.Equal(board.Pwr.ReadDoubleWord(0x14), 0u, "SR2 is read-only");
            board.Pwr.WriteDoubleWord(0x04, 1u << 9);
            Check.Equal(board.Pwr.ReadDoubleWord(0x04), 1u << 9, "CR2");
            board.Machine.Reset();
            Check.Equal(board.Pwr.ReadDoubleWord(0x04), 0u, "CR2 after a reset");
        });
    }

    private const uint Pin = 1u << 26;
    private const uint BrownOut = 1u << 27;
    private const uint Software = 1u << 28;
    private const uint Watchdog = 1u << 29;

    private static void Causes()
    {
        Check.Test("rcc: a board that was just made tells of power-on", () =>
        {
            Check.Equal(new Board().ResetCause, BrownOut | Pin, "RCC_CSR");
        });
        Check.Test("rcc: a reset that nobody announced is software's", () =>
        {
            var board = new Board();
            RemoveFlags(board);
            board.Machine.Reset();
            Check.Equal(board.ResetCause, Software | Pin, "RCC_CSR");
            Check.Equal(board.Told.Single(), "reset software", "what is told");
        });
        Check.Test("rcc: flags stay over resets until RMVF removes them", () =>
        {
            var board = new Board();
            board.Machine.Reset();
            Check.Equal(board.ResetCause, BrownOut | Software | Pin, "RCC_CSR");
            RemoveFlags(board);
            Check.Equal(board.ResetCause, 0u, "RCC_CSR after RMVF");
            board.Rcc.WriteDoubleWord(0x94, 0xFF000000 & ~(1u << 23));
            Check.Equal(board.ResetCause, 0u, "flags can't be written");
        });
        Check.Test("rcc: an announced reset has its own cause, the next one not", () =>
        {
            var board = new Board();
            RemoveFlags(board);
            board.Rcc.PinReset();
            board.Pass(1);
            Check.Equal(board.ResetCause, Pin, "RCC_CSR after the button");
            board.Machine.Reset();
            Check.Equal(board.ResetCause, Pin | Software, "RCC_CSR after the next one");
            Check.Equal(string.Join(", ", board.Told), "reset pin, reset software", "what is told");
        });
        Check.Test("rcc: the watchdog's reset is told from software's", () =>
        {
            var board = new Board();
            RemoveFlags(board);
            board.Watchdog.WriteDoubleWord(0, 0xCCCC);
            board.Pass(600000);
            Check.Equal(board.ResetCause, Watchdog | Pin, "RCC_CSR");
            Check.Equal(board.Told.Single(), "reset watchdog", "what is told");
        });
    }

    private static void RemoveFlags(Board board)
    {
        board.Rcc.WriteDoubleWord(0x94, 1u << 23);
    }

    private static void Power()
    {
        Check.Test("power: power-on tells of itself alone, whatever was before", () =>
        {
            var board = new Board();
            board.Machine.Reset();
            board.Flash.PowerOff();
            board.Flash.PowerOn();
            Check.Equal(board.ResetCause, BrownOut | Pin, "RCC_CSR");
            Check.Equal(board.Told.Last(), "power on", "what is told");
            board.Machine.Reset();
            Check.Equal(board.Told.Last(), "reset software", "what the next reset tells");
        });
        Check.Test("power: SRAM is lost at power-on and kept over a reset", () =>
        {
            var board = new Board();
            board.Sram.WriteBytes(0x100, new byte[] { 1, 2, 3, 4, 5, 6, 7, 8 });
            board.Machine.Reset();
            Check.That(board.Sram.ReadBytes(0x100, 8).SequenceEqual(new byte[] { 1, 2, 3, 4, 5, 6, 7, 8 }), "after a reset");
            board.Flash.PowerOn();
            Check.That(!board.Sram.ReadBytes(0x100, 8).SequenceEqual(new byte[] { 1, 2, 3, 4, 5, 6, 7, 8 }), "after power-on");
            Check.That(board.Sram.ReadBytes(0x3FFF0, 16).Distinct().Count() > 4, "it holds anything, not zeros");
        });
        Check.Test("power: a board without power isn't reset by anything", () =>
        {
            var board = new Board();
            RemoveFlags(board);
            board.Watchdog.WriteDoubleWord(0, 0xCCCC);
            board.Flash.PowerOff();
            board.Rcc.PinReset();
            board.Pass(2000000);
            board.Machine.Reset();
            Check.Equal(board.Told.Length, 0, "what is told");
            Check.That(board.Core.IsHalted, "the core stays halted");
            Check.Equal(board.ResetCause, 0u, "RCC_CSR");
        });
        Check.Test("power: power-on of a board that runs is a power cycle", () =>
        {
            var board = new Board();
            board.StartErase(0);
            board.Flash.PowerOn();
            Check.That(!board.Core.IsHalted && board.Flash.Powered, "it runs");
            Check.Equal(board.Machine.Resets, 1, "resets");
            Check.Equal(board.Status, 0u, "the erase is over");
        });
    }
}
