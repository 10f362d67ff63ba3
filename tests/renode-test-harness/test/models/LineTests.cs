using System.Collections.Generic;
using System.IO;
using System.Linq;

using Antmicro.Renode.Backends.Terminals;
using Antmicro.Renode.Core;
using Antmicro.Renode.Exceptions;
using Antmicro.Renode.Peripherals.MTD;
using Antmicro.Renode.Peripherals.UART;
using Antmicro.Renode.Time;
using Antmicro.Renode.Utilities;

/// <summary>The lines out of the board and into it: trace, events, the host's end of the serial line.</summary>
public static class LineTests
{
    public static void Run()
    {
        Tracing();
        Telling();
        Sending();
        Drawing();
    }

    private static void Tracing()
    {
        Check.Test("trace: what goes to port 0 comes out byte by byte, lowest first", () =>
        {
            var trace = new ITM_Trace();
            var bytes = Listen(trace);
            trace.WriteDoubleWord(0, 0x44332211);
            trace.WriteWord(0, 0x6655);
            trace.WriteByte(0, 0x77);
            Check.Equal(string.Join(" ", bytes.Select(value => value.ToString("x2"))), "11 22 33 44 55 66 77", "bytes");
        });
        Check.Test("trace: other ports and registers put nothing out", () =>
        {
            var trace = new ITM_Trace();
            var bytes = Listen(trace);
            foreach(var offset in new[] { 0x04, 0x7C, 0xE00, 0xE80, 0xFB0 })
            {
                trace.WriteDoubleWord(offset, 0x12345678);
            }
            Check.Equal(bytes.Count, 0, "bytes");
        });
        Check.Test("trace: a probe has enabled port 0 and takes a word at any time", () =>
        {
            var trace = new ITM_Trace();
            Check.Equal(trace.ReadDoubleWord(0xE80) & 1, 1u, "TCR.ITMENA");
            Check.Equal(trace.ReadDoubleWord(0xE00), 1u, "TER");
            Check.Equal(trace.ReadDoubleWord(0) & 1, 1u, "FIFOREADY");
            trace.Reset();
            Check.Equal(trace.ReadDoubleWord(0xE80) & 1, 1u, "TCR.ITMENA after a reset");
        });
        Check.Test("trace: without a probe it is off, and nothing comes out", () =>
        {
            var trace = new ITM_Trace { Attached = false };
            var bytes = Listen(trace);
            trace.WriteDoubleWord(0, 1);
            Check.Equal(trace.ReadDoubleWord(0xE80) | trace.ReadDoubleWord(0xE00), 0u, "TCR, TER");
            Check.Equal(bytes.Count, 0, "bytes");
        });
        Check.Test("trace: nobody has to listen", () =>
        {
            new ITM_Trace().WriteDoubleWord(0, 1);
        });
    }

    private static void Telling()
    {
        Check.Test("events: each is a line of its own, and nobody has to listen", () =>
        {
            var events = new BoardEvents();
            events.Emit("unheard");
            var bytes = Listen(events);
            events.Emit("cut 17 torn");
            events.Reset();
            events.Emit("power on");
            Check.Equal(string.Concat(bytes.Select(value => (char)value)), "cut 17 torn\npower on\n", "lines");
        });
    }

    private static List<byte> Listen(IUART line)
    {
        var bytes = new List<byte>();
        line.CharReceived += bytes.Add;
        return bytes;
    }

    private static void Sending()
    {
        Check.Test("host line: what is sent arrives in order, at the line's speed", () =>
        {
            var machine = new Machine();
            var uart = new Ear();
            var line = Attach(machine, uart, 10000);
            line.Send(string.Concat(Enumerable.Range(0, 100).Select(i => i.ToString("x2"))));
            Check.Equal(uart.Heard.Count, 0, "at once");
            machine.Advance(5000000);
            Check.That(uart.Heard.Count >= 45 && uart.Heard.Count <= 50, "half of it after 5 ms: " + uart.Heard.Count);
            Check.Equal(line.Waiting, 100 - uart.Heard.Count, "what waits");
            machine.Advance(6000000);
            Check.That(uart.Heard.SequenceEqual(Enumerable.Range(0, 100).Select(i => (byte)i)), "all of it after 11 ms");
        });
        Check.Test("host line: a speed that doesn't divide the interval is kept over time", () =>
        {
            var machine = new Machine();
            var uart = new Ear();
            Attach(machine, uart, 11520).Send(string.Concat(Enumerable.Repeat("55", 20000)));
            machine.Advance(1000000000);
            Check.That(uart.Heard.Count >= 11510 && uart.Heard.Count <= 11520, "bytes in a second: " + uart.Heard.Count);
        });
        Check.Test("host line: what is cleared never arrives, what is sent afterwards does", () =>
        {
            var machine = new Machine();
            var uart = new Ear();
            var line = Attach(machine, uart, 11520);
            line.Send("0102030405");
            line.Clear();
            machine.Advance(10000000);
            Check.Equal(uart.Heard.Count, 0, "bytes");
            line.Send("AA");
            machine.Advance(10000000);
            Check.Equal(uart.Heard.Single(), (byte)0xAA, "the next one");
        });
        Check.Test("host line: time runs for as long as was asked while the board is silent", () =>
        {
            var machine = new Machine();
            var line = Attach(machine, new Ear(), 11520);
            Check.Equal(line.Run(5500, 2000), 5500ul, "what has passed");
            Check.Equal(machine.ElapsedVirtualTime.TimeElapsed.TotalMicroseconds, 5500.0, "by the machine's clock");
        });
        Check.Test("host line: time stops soon after the board has begun to speak, so that an answer comes in time", () =>
        {
            var machine = new Machine();
            var uart = new Ear();
            var line = Attach(machine, uart, 11520);
            machine.ScheduleAction(TimeInterval.FromMicroseconds(7300), _ => uart.Emit("hello"));
            Check.Equal(line.Run(100000, 2000), 10000ul, "what has passed");
            uart.Emit("while time stands");
            Check.Equal(line.Run(4000, 2000), 4000ul, "what was heard before counts no more");
            line.DetachFrom(uart);
            uart.Emit("unheard");
            Check.Equal(line.Waiting, 0, "what waits");
        });
        Check.Test("host line: memory can be had as a file", () =>
        {
            var machine = new Machine();
            machine.Bus.Memory = Enumerable.Range(0, 64).Select(i => (byte)i).ToArray();
            var path = Path.GetTempFileName();
            machine.SystemBus.SaveMemory(16, 8, new WriteFilePath(path));
            Check.That(File.ReadAllBytes(path).SequenceEqual(Enumerable.Range(16, 8).Select(i => (byte)i)), "eight bytes from 16 on");
            File.Delete(path);
        });
        Check.Test("host line: no speed is refused", () =>
        {
            Check.Throws<RecoverableException>(() => new HostLine(0), "0 bytes a second");
        });
    }

    private static HostLine Attach(Machine machine, IUART uart, uint bytesPerSecond)
    {
        var emulation = new Emulation();
        emulation.CreateHostLine("line", bytesPerSecond);
        var line = (HostLine)emulation.ExternalsManager.Externals["line"];
        line.AttachTo(uart);
        return line;
    }

    private class Ear : BoardEvents, IUART
    {
        void IUART.WriteChar(byte value)
        {
            Heard.Add(value);
        }

        public readonly List<byte> Heard = new List<byte>();
    }

    private static void Drawing()
    {
        Check.Test("random: the same numbers as the other flash model's from the same seed", () =>
        {
            var random = new SeededRandom(42);
            Check.Equal(random.Next(), 0x99E1EF7Cu, "the first");
            Check.Equal(random.Next(), 0x72C32B8Au, "the second");
            Check.Equal(random.Next(), 0xDA3B32C0u, "the third");
            var sum = Enumerable.Range(0, 1000).Aggregate(0u, (all, _) => unchecked(all * 31 + random.Next()));
            Check.Equal(sum, 0x21FB2682u, "the next thousand, each in its place");
        });
        Check.Test("random: Below stays below, and reaches every value", () =>
        {
            var random = new SeededRandom(1);
            var seen = Enumerable.Range(0, 200).Select(_ => random.Below(4)).Distinct().OrderBy(value => value).ToArray();
            Check.Equal(string.Join(" ", seen), "0 1 2 3", "values");
        });
    }
}
