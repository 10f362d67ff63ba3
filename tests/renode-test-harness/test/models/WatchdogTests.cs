/// <summary>The independent watchdog.</summary>
public static class WatchdogTests
{
    public static void Run()
    {
        Check.Test("iwdg: it doesn't count until it is started", () =>
        {
            var board = new Board();
            board.Pass(5000000);
            Check.Equal(board.Machine.Resets, 0, "resets");
            Check.That(!board.Watchdog.Started, "started");
        });
        Check.Test("iwdg: with its reset values it resets after 512 ms", () =>
        {
            var board = new Board();
            Write(board, Key, Start);
            board.Pass(511900);
            Check.Equal(board.Machine.Resets, 0, "resets before");
            board.Pass(200);
            Check.Equal(board.Machine.Resets, 1, "resets after");
            board.Pass(2000000);
            Check.Equal(board.Machine.Resets, 1, "a reset stops it");
        });
        Check.Test("iwdg: with prescaler 4 and reload 1103 it resets after 138 ms", () =>
        {
            var board = Armed(0, 1103);
            board.Pass(137900);
            Check.Equal(board.Machine.Resets, 0, "resets before");
            board.Pass(200);
            Check.Equal(board.Machine.Resets, 1, "resets after");
        });
        Check.Test("iwdg: the prescaler stretches it", () =>
        {
            var board = Armed(2, 999);
            board.Pass(499900);
            Check.Equal(board.Machine.Resets, 0, "resets before");
            board.Pass(200);
            Check.Equal(board.Machine.Resets, 1, "resets after");
        });
        Check.Test("iwdg: a reload in time keeps it from resetting, for as long as they come", () =>
        {
            var board = Armed(0, 1103);
            for(var i = 0; i < 50; i++)
            {
                board.Pass(100000);
                Write(board, Key, Reload);
            }
            Check.Equal(board.Machine.Resets, 0, "resets");
            board.Pass(139000);
            Check.Equal(board.Machine.Resets, 1, "resets when they stop");
        });
        Check.Test("iwdg: PR and RLR take nothing while they are locked", () =>
        {
            var board = new Board();
            Write(board, Key, Start);
            Write(board, Prescaler, 3);
            Write(board, ReloadValue, 5);
            Check.Equal(board.Watchdog.ReadDoubleWord(Prescaler), 0u, "PR");
            Check.Equal(board.Watchdog.ReadDoubleWord(ReloadValue), 0xFFFu, "RLR");
        });
        Check.Test("iwdg: any other key locks them again", () =>
        {
            var board = new Board();
            Write(board, Key, Start);
            Write(board, Key, Unlock);
            Write(board, Key, Reload);
            Write(board, ReloadValue, 5);
            Check.Equal(board.Watchdog.ReadDoubleWord(ReloadValue), 0xFFFu, "RLR");
        });
        Check.Test("iwdg: SR tells that a value is on its way, each by itself", () =>
        {
            var board = new Board();
            Write(board, Key, Start);
            Write(board, Key, Unlock);
            Check.Equal(board.Watchdog.ReadDoubleWord(Status), 0u, "SR");
            Write(board, Prescaler, 0);
            Check.Equal(board.Watchdog.ReadDoubleWord(Status), 1u, "PVU");
            board.Pass(100);
            Write(board, ReloadValue, 100);
            Check.Equal(board.Watchdog.ReadDoubleWord(Status), 3u, "PVU and RVU");
            board.Pass(100);
            Check.Equal(board.Watchdog.ReadDoubleWord(Status), 2u, "RVU");
            board.Pass(100);
            Check.Equal(board.Watchdog.ReadDoubleWord(Status), 0u, "SR in the end");
        });
        Check.Test("iwdg: a reload before RLR is taken over loads the old value", () =>
        {
            var board = new Board();
            Write(board, Key, Start);
            Write(board, Key, Unlock);
            Write(board, ReloadValue, 100);
            Write(board, Key, Reload);
            board.Pass(400000);
            Check.Equal(board.Machine.Resets, 0, "resets");
            Write(board, Key, Reload);
            board.Pass(13000);
            Check.Equal(board.Machine.Resets, 1, "resets with the new one");
        });
        Check.Test("iwdg: a second value is lost while the first is on its way", () =>
        {
            var board = new Board();
            Write(board, Key, Start);
            Write(board, Key, Unlock);
            Write(board, ReloadValue, 100);
            Write(board, ReloadValue, 200);
            Check.Equal(board.Watchdog.ReadDoubleWord(ReloadValue), 100u, "RLR");
        });
        Check.Test("iwdg: before it is started there is no LSI, and SR stays", () =>
        {
            var board = new Board();
            Write(board, Key, Unlock);
            Write(board, ReloadValue, 100);
            board.Pass(1000000);
            Check.Equal(board.Watchdog.ReadDoubleWord(Status), 2u, "RVU");
            Write(board, Key, Start);
            board.Pass(1000);
            Check.Equal(board.Watchdog.ReadDoubleWord(Status), 0u, "SR after the start");
        });
        Check.Test("iwdg: a reset brings its reset values, and nothing late", () =>
        {
            var board = Armed(3, 77);
            Write(board, Key, Unlock);
            Write(board, ReloadValue, 5);
            board.Machine.Reset();
            board.Pass(1000);
            Check.Equal(board.Watchdog.ReadDoubleWord(Status), 0u, "SR");
            Check.Equal(board.Watchdog.ReadDoubleWord(Prescaler), 0u, "PR");
            Check.Equal(board.Watchdog.ReadDoubleWord(ReloadValue), 0xFFFu, "RLR");
            Write(board, Key, Start);
            board.Pass(500000);
            Check.Equal(board.Machine.Resets, 1, "resets");
        });
        Check.Test("iwdg: disarmed it runs out without a reset", () =>
        {
            var board = Armed(0, 100);
            board.Watchdog.Armed = false;
            board.Pass(1000000);
            Check.Equal(board.Machine.Resets, 0, "resets");
        });
    }

    private static Board Armed(uint prescaler, uint reload)
    {
        var board = new Board();
        Write(board, Key, Start);
        Write(board, Key, Unlock);
        Write(board, Prescaler, prescaler);
        Write(board, ReloadValue, reload);
        while(board.Watchdog.ReadDoubleWord(Status) != 0)
        {
            board.Pass(1);
        }
        Write(board, Key, Reload);
        return board;
    }

    private static void Write(Board board, long offset, uint value)
    {
        board.Watchdog.WriteDoubleWord(offset, value);
    }

    private const long Key = 0x00;
    private const long Prescaler = 0x04;
    private const long ReloadValue = 0x08;
    private const long Status = 0x0C;
    private const uint Start = 0xCCCC;
    private const uint Unlock = 0x5555;
    private const uint Reload = 0xAAAA;
}
