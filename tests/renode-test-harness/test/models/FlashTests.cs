using System;
using System.IO;
using System.Linq;

using Antmicro.Renode.Exceptions;
using Antmicro.Renode.Peripherals.CPU;
using Antmicro.Renode.Utilities;

/// <summary>The rules of the flash controller, a test each.</summary>
public static class FlashTests
{
    public static void Run()
    {
        Locking();
        Erasing();
        Programming();
        BeingBusy();
        Interrupts();
        ErrorCorrection();
        Counting();
        Cutting();
        Images();
        Options();
    }

    private static void Locking()
    {
        Check.Test("flash: it is locked after a reset, and two keys in a row unlock it", () =>
        {
            var board = new Board();
            Check.Equal(board.Control & Board.Lock, Board.Lock, "LOCK");
            board.Unlock();
            Check.Equal(board.Control & Board.Lock, 0u, "LOCK");
            Check.Equal(board.Flash.ViolationCount, 0, "violations");
        });
        Check.Test("flash: one key alone doesn't unlock it", () =>
        {
            var board = new Board();
            board.Key(Board.Key1);
            Check.Equal(board.Control & Board.Lock, Board.Lock, "LOCK");
        });
        Check.Test("flash: after a wrong key it stays locked until the next reset", () =>
        {
            var board = new Board();
            board.Key(Board.Key1);
            board.Key(Board.Key1);
            board.Unlock();
            Check.Equal(board.Control & Board.Lock, Board.Lock, "LOCK");
            Check.That(board.Flash.Violations.Contains("NSKEYR"), "it is a violation");
            board.Machine.Reset();
            board.Unlock();
            Check.Equal(board.Control & Board.Lock, 0u, "LOCK after the reset");
        });
        Check.Test("flash: the second key first is a wrong key", () =>
        {
            var board = new Board();
            board.Key(Board.Key2);
            Check.Equal(board.Control & Board.Lock, Board.Lock, "LOCK");
            board.Unlock();
            Check.Equal(board.Control & Board.Lock, Board.Lock, "LOCK after both keys");
        });
        Check.Test("flash: the second key alone is not enough after any other first", () =>
        {
            var board = new Board();
            board.Key(0x45670122);
            board.Key(Board.Key2);
            Check.Equal(board.Control & Board.Lock, Board.Lock, "LOCK");
        });
        Check.Test("flash: a key to the unlocked register is a wrong key", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Key(Board.Key1);
            board.Unlock();
            Check.Equal(board.Control & Board.Lock, Board.Lock, "LOCK");
        });
        Check.Test("flash: LOCK locks again, and the keys unlock again", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Control = Board.Lock;
            Check.Equal(board.Control & Board.Lock, Board.Lock, "LOCK");
            board.Unlock();
            Check.Equal(board.Control & Board.Lock, 0u, "LOCK");
        });
        Check.Test("flash: a locked NSCR takes nothing", () =>
        {
            var board = new Board();
            board.Control = Board.Per | Board.Strt;
            Check.Equal(board.Control & ~(Board.Lock | 1u << 30), 0u, "NSCR");
            Check.Equal(board.Flash.Operations, 0, "operations");
            Check.Equal(board.Flash.ViolationCount, 1, "violations");
        });
        Check.Test("flash: a write while it is locked is refused with PGSERR and changes nothing", () =>
        {
            var board = new Board();
            board.Write(0x08000000, 0);
            board.Write(0x08000004, 0);
            board.Pass(1000);
            Check.Equal(board.Status & Board.Pgserr, Board.Pgserr, "PGSERR");
            Check.Equal(board.PeekUnit(0x08000000), Board.Blank, "the unit");
            Check.Equal(board.Flash.Operations, 0, "operations");
        });
        Check.Test("flash: PG that was set together with LOCK lets nothing through", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Control = Board.Pg | Board.Lock;
            board.Write(0x08000000, 0);
            board.Write(0x08000004, 0);
            Check.Equal(board.Status & Board.Pgserr, Board.Pgserr, "PGSERR");
            Check.Equal(board.Flash.Operations, 0, "operations");
        });
        Check.Test("flash: a reset locks it and forgets the flags", () =>
        {
            var board = new Board();
            board.Write(0x08000000, 0);
            board.Unlock();
            board.Machine.Reset();
            Check.Equal(board.Control & Board.Lock, Board.Lock, "LOCK");
            Check.Equal(board.Status, 0u, "NSSR");
        });
    }

    private static void Erasing()
    {
        Check.Test("flash: an erase makes exactly its page blank", () =>
        {
            var board = new Board();
            foreach(var address in new[] { 0x080007F8u, 0x08000800u, 0x08000FF8u, 0x08001000u })
            {
                board.Poke(address, 0x12345678);
            }
            Check.Equal(board.Erase(1), Board.Eop, "NSSR");
            Check.Equal(board.Read(0x080007F8), 0x12345678u, "the page before");
            Check.Equal(board.Read(0x08000800), UInt32.MaxValue, "its first word");
            Check.Equal(board.Read(0x08000FF8), UInt32.MaxValue, "its last unit");
            Check.Equal(board.Read(0x08001000), 0x12345678u, "the page after");
        });
        Check.Test("flash: an erase takes 22 ms", () =>
        {
            var board = new Board();
            board.StartErase(0);
            board.Pass(Board.EraseMicros - 1);
            Check.Equal(board.Status & Board.Bsy, Board.Bsy, "BSY before");
            Check.Equal(board.Control & Board.Strt, Board.Strt, "STRT before");
            board.Pass(1);
            Check.Equal(board.Status & Board.Bsy, 0u, "BSY after");
            Check.Equal(board.Control & Board.Strt, 0u, "STRT after");
        });
        Check.Test("flash: the last page of bank 1 can be erased", () =>
        {
            var board = new Board();
            board.Poke(0x0803FFFC, 0);
            Check.Equal(board.Erase(127), Board.Eop, "NSSR");
            Check.Equal(board.Read(0x0803FFFC), UInt32.MaxValue, "its last word");
        });
        Check.Test("flash: a start without PER is refused with PGSERR", () =>
        {
            Refused(Board.Eopie, Board.Pgserr);
        });
        Check.Test("flash: an erase with PG set is refused with PGSERR", () =>
        {
            Refused(Board.Per | Board.Pg, Board.Pgserr);
        });
        Check.Test("flash: an erase of a page and of the bank at once is refused with PGSERR", () =>
        {
            Refused(Board.Per | Board.Mer1, Board.Pgserr);
        });
        Check.Test("flash: a mass erase, which would take the runtime along, is refused", () =>
        {
            Refused(Board.Mer1, Board.Pgserr);
        });
        Check.Test("flash: an erase in bank 2 is refused", () =>
        {
            Refused(Board.Per | Board.Bker, Board.Wrperr);
        });
        Check.Test("flash: the runtime's pages are write-protected, first to last, and no others", () =>
        {
            Refused(Board.Per | 14 << 3, Board.Wrperr);
            Refused(Board.Per | 45 << 3, Board.Wrperr);
            Check.Equal(new Board().Erase(13), Board.Eop, "the page before");
            Check.Equal(new Board().Erase(46), Board.Eop, "the page after");
        });
        Check.Test("flash: an erase with error flags left over is refused with PGSERR", () =>
        {
            var board = new Board();
            board.Write(0x08000000, 0);
            board.StartErase(0);
            Check.Equal(board.Status & Board.Bsy, 0u, "BSY");
            Check.Equal(board.Flash.Operations, 0, "operations");
        });
        Check.Test("flash: an erased unit can be programmed anew", () =>
        {
            var board = new Board();
            board.Program(0x08000010, 1);
            board.Erase(0);
            Check.Equal(board.Program(0x08000010, 2), Board.Eop, "NSSR");
            Check.Equal(board.ReadUnit(0x08000010), 2ul, "the unit");
        });
    }

    private static void Refused(uint command, uint flag)
    {
        var board = new Board();
        board.Poke(0x08000000, 0);
        board.Unlock();
        board.Control = command;
        board.Control = command | Board.Strt;
        Check.Equal(board.Status & (flag | Board.Bsy), flag, "NSSR");
        board.Pass(Board.EraseMicros);
        Check.Equal(board.Read(0x08000000), 0u, "a unit");
        Check.Equal(board.Flash.Operations, 0, "operations");
        Check.Equal(board.Flash.ViolationCount, 1, "violations");
    }

    private static void Programming()
    {
        Check.Test("flash: two words, the lower first, program a unit", () =>
        {
            var board = new Board();
            Check.Equal(board.Program(0x08017008, 0x0123456789ABCDEF), Board.Eop, "NSSR");
            Check.Equal(board.ReadUnit(0x08017008), 0x0123456789ABCDEFul, "the unit");
            Check.Equal(board.ReadUnit(0x08017000), Board.Blank, "the unit before");
            Check.Equal(board.ReadUnit(0x08017010), Board.Blank, "the unit after");
            Check.Equal(board.Flash.ViolationCount, 0, "violations");
        });
        Check.Test("flash: a unit takes 82 µs", () =>
        {
            var board = new Board();
            board.StartProgram(0x08000000, 0);
            board.Pass(Board.ProgramMicros - 1);
            Check.Equal(board.Status & Board.Bsy, Board.Bsy, "BSY before");
            board.Pass(1);
            Check.Equal(board.Status & Board.Bsy, 0u, "BSY after");
        });
        Check.Test("flash: one word alone programs nothing", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Control = Board.Pg;
            board.Write(0x08000000, 0);
            board.Pass(1000);
            Check.Equal(board.Flash.Operations, 0, "operations");
            Check.Equal(board.ReadUnit(0x08000000), Board.Blank, "the unit");
        });
        Check.Test("flash: the first word is forgotten when PG is cleared", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Control = Board.Pg;
            board.Write(0x08000000, 0);
            board.Control = 0;
            board.Control = Board.Pg;
            board.Write(0x08000004, 0);
            Check.Equal(board.Status & Board.Pgaerr, Board.Pgaerr, "PGAERR");
            Check.Equal(board.Flash.Operations, 0, "operations");
        });
        Check.Test("flash: a programmed unit is refused with PROGERR and keeps what it holds", () =>
        {
            var board = new Board();
            board.Program(0x08000000, 0xFFFFFFFF00000000);
            Check.Equal(board.Program(0x08000000, 0x00000000FFFFFFFF) & (Board.Progerr | Board.Eop), Board.Progerr, "NSSR");
            Check.Equal(board.ReadUnit(0x08000000), 0xFFFFFFFF00000000ul, "the unit");
            Check.That(board.Flash.Violations.Contains("already programmed"), "it is a violation");
            Check.Equal(board.Flash.Operations, 1, "operations");
        });
        Check.Test("flash: a unit programmed with all ones is programmed, too", () =>
        {
            var board = new Board();
            Check.Equal(board.Program(0x08000000, Board.Blank), Board.Eop, "the first time");
            Check.Equal(board.Program(0x08000000, 1) & Board.Progerr, Board.Progerr, "the second time");
        });
        Check.Test("flash: all zeros go over anything", () =>
        {
            var board = new Board();
            board.Program(0x08000000, 0x1234);
            Check.Equal(board.Program(0x08000000, 0), Board.Eop, "NSSR");
            Check.Equal(board.ReadUnit(0x08000000), 0ul, "the unit");
        });
        Check.Test("flash: a write without PG is refused with PGSERR", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Write(0x08000000, 0);
            Check.Equal(board.Status & Board.Pgserr, Board.Pgserr, "PGSERR");
            Check.Equal(board.Flash.ViolationCount, 1, "violations");
        });
        Check.Test("flash: a write with PG and PER is refused with PGSERR", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Control = Board.Pg | Board.Per;
            board.Write(0x08000000, 0);
            Check.Equal(board.Status & Board.Pgserr, Board.Pgserr, "PGSERR");
        });
        Check.Test("flash: a first word that isn't the lower one is refused with PGAERR", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Control = Board.Pg;
            board.Write(0x08000004, 0);
            Check.Equal(board.Status & Board.Pgaerr, Board.Pgaerr, "PGAERR");
        });
        Check.Test("flash: a second word of another unit is refused with PGAERR", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Control = Board.Pg;
            board.Write(0x08000000, 0);
            board.Write(0x0800000C, 0);
            Check.Equal(board.Status & Board.Pgaerr, Board.Pgaerr, "PGAERR");
            Check.Equal(board.Flash.Operations, 0, "operations");
        });
        Check.Test("flash: bytes and half-words are refused with SIZERR", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Control = Board.Pg;
            board.Slots.WriteByte(0, 0);
            Check.Equal(board.Status & Board.Sizerr, Board.Sizerr, "SIZERR of a byte");
            board.Status = Board.Sizerr;
            board.Slots.WriteWord(0, 0);
            Check.Equal(board.Status & Board.Sizerr, Board.Sizerr, "SIZERR of a half-word");
            Check.Equal(board.Read(0x08000000), UInt32.MaxValue, "the unit");
        });
        Check.Test("flash: no programming while error flags are left over", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Control = Board.Pg;
            board.Write(0x08000004, 0);
            board.Write(0x08000000, 0);
            board.Write(0x08000004, 0);
            Check.Equal(board.Status & Board.Pgserr, Board.Pgserr, "PGSERR");
            Check.Equal(board.Flash.Operations, 0, "operations");
        });
        Check.Test("flash: flags are cleared by writing ones, and only those", () =>
        {
            var board = new Board();
            board.Slots.WriteByte(0, 0);
            board.Unlock();
            board.Control = Board.Errie;
            board.Write(0x08000000, 0);
            Check.Equal(board.Status, Board.Pgserr | Board.Operr, "NSSR");
            board.Status = Board.Operr;
            Check.Equal(board.Status, Board.Pgserr, "NSSR after one is cleared");
            board.Status = 0;
            Check.Equal(board.Status, Board.Pgserr, "NSSR after zeros");
        });
        Check.Test("flash: pages protected by WRP1AR can be neither programmed nor erased", () =>
        {
            var board = new Board();
            board.Flash.Protect(2, 3);
            Check.Equal(board.Program(0x08001000, 0) & (Board.Wrperr | Board.Eop), Board.Wrperr, "a program");
            Check.Equal(board.Erase(3) & (Board.Wrperr | Board.Eop), Board.Wrperr, "an erase");
            Check.Equal(board.Flash.ReadDoubleWord(0x58), 0x00030002u, "WRP1AR");
            Check.Equal(board.Program(0x08002000, 0), Board.Eop, "the page after");
            board.Flash.Unprotect();
            Check.Equal(board.Program(0x08001000, 0), Board.Eop, "when it is taken back");
        });
        Check.Test("flash: an operation that fails reports PROGERR and changes nothing", () =>
        {
            var board = new Board();
            board.Flash.FailNext(1);
            Check.Equal(board.Program(0x08000000, 0), Board.Progerr | Board.Operr, "NSSR");
            Check.Equal(board.ReadUnit(0x08000000), Board.Blank, "the unit");
            Check.Equal(board.Program(0x08000000, 0), Board.Eop, "the next one");
        });
    }

    private static void BeingBusy()
    {
        Check.Test("flash: a read while the bank is busy fails and is a violation", () =>
        {
            var board = new Board();
            board.Poke(0x08000000, 0x11111111);
            board.StartErase(1);
            Check.Equal(board.Read(0x08000000), 0u, "what is read");
            Check.That(board.Flash.Violations.Contains("read of 0x08000000 while the bank is busy"), "it is a violation");
            Check.That(board.ToldOf("violation read of 0x08000000").Any(), "and is told");
            board.Finish(Board.EraseMicros);
            Check.Equal(board.Read(0x08000000), 0x11111111u, "what is read afterwards");
        });
        Check.Test("flash: a read of the journal while a slot is erased is a violation", () =>
        {
            var board = new Board();
            board.StartErase(1);
            board.Read(0x08017000);
            Check.Equal(board.Flash.ViolationCount, 1, "violations");
        });
        Check.Test("flash: a write while the bank is busy is a violation and is lost", () =>
        {
            var board = new Board();
            board.StartProgram(0x08000000, 1);
            board.Write(0x08000008, 2);
            board.Write(0x0800000C, 2);
            board.Finish(Board.ProgramMicros);
            Check.Equal(board.Flash.ViolationCount, 2, "violations");
            Check.Equal(board.ReadUnit(0x08000008), Board.Blank, "the unit");
            Check.Equal(board.Flash.Operations, 1, "operations");
        });
        Check.Test("flash: a write of NSCR while the bank is busy is a violation and is lost", () =>
        {
            var board = new Board();
            board.StartErase(0);
            board.Control = Board.Lock;
            Check.Equal(board.Flash.ViolationCount, 1, "violations");
            Check.Equal(board.Control & Board.Lock, 0u, "LOCK");
        });
        Check.Test("flash: the status can be read while the bank is busy", () =>
        {
            var board = new Board();
            board.StartErase(0);
            Check.Equal(board.Status, Board.Bsy, "NSSR");
            Check.Equal(board.Flash.ViolationCount, 0, "violations");
        });
        Check.Test("flash: during an erase the runtime's memory is taken away from the core, and given back", () =>
        {
            var board = new Board();
            board.StartErase(0);
            Check.Equal(board.Machine.Bus.Locked.StartAddress, 0x08007000ul, "where it begins");
            Check.Equal(board.Machine.Bus.Locked.Size, 0x10000ul, "its size");
            board.Pass(Board.EraseMicros);
            Check.Equal(board.Machine.Bus.Locked.Size, 0ul, "afterwards");
        });
        Check.Test("flash: during a program it is taken away only with Guard always", () =>
        {
            var board = new Board();
            board.StartProgram(0x08000000, 0);
            Check.Equal(board.Machine.Bus.Locked.Size, 0ul, "as it is by itself");
            board.Finish(Board.ProgramMicros);
            board.Flash.Guard = "always";
            board.StartProgram(0x08000008, 0);
            Check.Equal(board.Machine.Bus.Locked.Size, 0x10000ul, "always");
            board.Finish(Board.ProgramMicros);
            Check.Equal(board.Machine.Bus.Locked.Size, 0ul, "afterwards");
            board.Flash.Guard = "never";
            board.StartErase(0);
            Check.Equal(board.Machine.Bus.Locked.Size, 0ul, "never");
            Check.Throws<RecoverableException>(() => board.Flash.Guard = "sometimes", "a fourth one");
        });
        Check.Test("flash: a core lost by a fetch from there is halted, and a violation", () =>
        {
            var board = new Board();
            board.StartErase(0);
            board.Core.Halt(HaltReason.Pause);
            Check.That(board.Flash.ViolationCount == 0 && !board.Core.IsHalted, "a pause is nothing");
            board.Core.Halt(HaltReason.Abort);
            Check.That(board.Flash.Violations.StartsWith("instruction fetch", StringComparison.Ordinal), "it is a violation");
            Check.That(board.Core.IsHalted, "the core is halted");
        });
        Check.Test("flash: a core lost by anything else is halted and told, too", () =>
        {
            var board = new Board();
            board.Core.Halt(HaltReason.Abort);
            Check.Equal(board.Told.Single(), "violation the core can't go on, see the log", "what is told");
            Check.That(board.Core.IsHalted, "the core is halted");
        });
        Check.Test("flash: a reset while it is busy tears the operation", () =>
        {
            var board = new Board();
            board.Poke(0x08000100, 0);
            board.StartErase(0);
            board.Pass(Board.EraseMicros / 2);
            board.Machine.Reset();
            Check.Equal(board.Status, 0u, "NSSR");
            Check.Equal(board.Machine.Bus.Locked.Size, 0ul, "the runtime's memory");
            Check.That(board.Copy().Flash != null && SideFile(board).Contains("torn"), "the page is torn");
            board.Pass(Board.EraseMicros);
            Check.That(SideFile(board).Contains("torn"), "and stays so");
        });
    }

    private static void Interrupts()
    {
        Check.Test("flash: the end of an operation that a reset tore is not the next one's", () =>
        {
            var board = new Board();
            board.StartErase(0);
            board.Pass(Board.EraseMicros / 2);
            board.Machine.Reset();
            board.StartErase(1);
            board.Pass(Board.EraseMicros / 2 + 1);
            Check.Equal(board.Status, Board.Bsy, "NSSR when the first would have ended");
            board.Pass(Board.EraseMicros / 2);
            Check.Equal(board.Status, Board.Eop, "NSSR when the second ends");
        });
        Check.Test("flash: EOP comes up, with the interrupt, only if EOPIE asks for it", () =>
        {
            var board = new Board();
            board.StartErase(0);
            Check.That(!board.Flash.IRQ.IsSet, "not before the end");
            board.Pass(Board.EraseMicros);
            Check.That(board.Flash.IRQ.IsSet, "at the end");
            board.Status = Board.Eop;
            Check.That(!board.Flash.IRQ.IsSet, "until EOP is cleared");
            board.Control = Board.Per;
            board.Control = Board.Per | Board.Strt;
            board.Pass(Board.EraseMicros);
            Check.Equal(board.Status, 0u, "NSSR without EOPIE");
            Check.That(!board.Flash.IRQ.IsSet, "no interrupt without EOPIE");
        });
        Check.Test("flash: OPERR comes up, with the interrupt, only if ERRIE asks for it", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Write(0x08000000, 0);
            Check.Equal(board.Status, Board.Pgserr, "NSSR without ERRIE");
            Check.That(!board.Flash.IRQ.IsSet, "no interrupt without ERRIE");
            board.Status = Board.Pgserr;
            board.Control = Board.Errie;
            board.Write(0x08000000, 0);
            Check.Equal(board.Status, Board.Pgserr | Board.Operr, "NSSR with ERRIE");
            Check.That(board.Flash.IRQ.IsSet, "with ERRIE");
        });
        Check.Test("flash: the interrupt falls when EOPIE is cleared, as a handler does that locks", () =>
        {
            var board = new Board();
            board.StartErase(0);
            board.Pass(Board.EraseMicros);
            board.Control = Board.Lock;
            Check.That(!board.Flash.IRQ.IsSet, "after LOCK alone is written");
            Check.Equal(board.Status, Board.Eop, "EOP stays for the driver");
        });
    }

    private static void ErrorCorrection()
    {
        Check.Test("flash: a read of a unit that ECC can't mend sets ECCD with its address and raises the NMI", () =>
        {
            var board = new Board();
            board.Flash.InjectEcc(0x08017010);
            board.Read(0x08017014);
            Check.Equal(board.Ecc, 1u << 31 | 0x17010, "ECCR");
            Check.Equal(board.Nvic.Pending.Count, 1, "NMIs");
            Check.Equal(board.Nvic.Pending[0], 2, "the exception's number");
            board.Ecc = 1u << 31;
            Check.Equal(board.Ecc & 1u << 31, 0u, "ECCD after it is cleared");
        });
        Check.Test("flash: its neighbours read well", () =>
        {
            var board = new Board();
            board.Flash.InjectEcc(0x08017010);
            board.Read(0x0801700C);
            board.Read(0x08017018);
            Check.Equal(board.Ecc, 0u, "ECCR");
            Check.Equal(board.Nvic.Pending.Count, 0, "NMIs");
        });
        Check.Test("flash: the first address stays until the flag is cleared", () =>
        {
            var board = new Board();
            board.Flash.InjectEcc(0x08000010);
            board.Flash.InjectEcc(0x08000020);
            board.Read(0x08000010);
            board.Read(0x08000020);
            Check.Equal(board.Ecc & 0x7FFFF, 0x10u, "ADDR_ECC");
            board.Ecc = 1u << 31;
            board.Read(0x08000020);
            Check.Equal(board.Ecc & 0x7FFFF, 0x20u, "ADDR_ECC of the next one");
        });
        Check.Test("flash: an erase makes the unit readable again", () =>
        {
            var board = new Board();
            board.Flash.InjectEcc(0x08000010);
            board.Erase(0);
            board.Read(0x08000010);
            Check.Equal(board.Ecc, 0u, "ECCR");
            Check.Equal(board.Program(0x08000010, 5), Board.Eop, "a program");
        });
        Check.Test("flash: one wrong bit is mended, told by ECCC, and interrupts if ECCIE asks for it", () =>
        {
            var board = new Board();
            board.Poke(0x08000010, 0xCAFE);
            board.Flash.InjectMendedEcc(0x08000010);
            Check.Equal(board.Read(0x08000010), 0xCAFEu, "what is read");
            Check.Equal(board.Ecc, 1u << 30 | 0x10, "ECCR");
            Check.That(!board.Flash.IRQ.IsSet && board.Nvic.Pending.Count == 0, "quietly");
            board.Ecc = 1u << 30 | 1u << 24;
            board.Read(0x08000010);
            Check.That(board.Flash.IRQ.IsSet, "the interrupt with ECCIE");
        });
        Check.Test("flash: rot behind the back of ECC reads as if it were right", () =>
        {
            var board = new Board();
            board.Program(0x08000000, 0xFF);
            board.Flash.Flip(0x08000000, 0x81);
            Check.Equal(board.ReadUnit(0x08000000), 0x7Eul, "the unit");
            Check.Equal(board.Ecc, 0u, "ECCR");
        });
        Check.Test("flash: an access that isn't aligned is made of its bytes, over units and up to the bank's end", () =>
        {
            var board = new Board();
            board.Poke(0x08000004, 0x44332211);
            board.Poke(0x08000008, 0x88776655);
            board.Flash.InjectEcc(0x08000008);
            Check.Equal(board.Slots.ReadDoubleWord(0x6), 0x66554433u, "over two units");
            Check.Equal(board.Nvic.Pending.Count, 2, "NMIs of the second unit's bytes");
            Check.Equal((uint)board.Slots.ReadWord(0x5), 0x3322u, "half a word");
            Check.Equal(board.Journal.ReadDoubleWord(0x28FFE), 0x0000FFFFu, "over the end");
            board.Unlock();
            board.Control = Board.Pg;
            board.Slots.WriteDoubleWord(0x22, 0);
            Check.Equal(board.Status & Board.Pgaerr, Board.Pgaerr, "a write");
            board.Machine.Bus.CoreIsAccessing = false;
            board.Journal.WriteDoubleWord(0x28FFE, 0x12345678);
            Check.Equal(board.Journal.ReadDoubleWord(0x28FFC), 0x5678FFFFu, "what the monitor put there");
            board.Slots.WriteDoubleWord(0x36, 0);
            board.Machine.Bus.CoreIsAccessing = true;
            board.Status = Board.Pgaerr;
            board.Control = Board.Lock;
            foreach(var address in new[] { 0x08000030u, 0x08000038u })
            {
                Check.Equal(board.Program(address, 1) & Board.Progerr, Board.Progerr, "a program of what it touched");
            }
        });
        Check.Test("flash: the monitor reads and writes the cells without any rule", () =>
        {
            var board = new Board();
            board.Flash.InjectEcc(0x08000000);
            board.StartErase(1);
            Check.Equal(board.PeekUnit(0x08000000), Board.Blank, "a peek");
            board.Poke(0x08000000, 0xABCD);
            Check.Equal(board.PeekUnit(0x08000000), 0xFFFFFFFF0000ABCDul, "after a poke");
            Check.Equal(board.Flash.ViolationCount, 0, "violations");
            Check.Equal(board.Nvic.Pending.Count, 0, "NMIs");
            board.Finish(Board.EraseMicros);
            board.Read(0x08000000);
            Check.Equal(board.Ecc, 0u, "a poked unit is sound");
            Check.Equal(board.Program(0x08000000, 1) & Board.Progerr, Board.Progerr, "and programmed");
        });
    }

    private static void Counting()
    {
        Check.Test("flash: operations are counted and logged in their order, with time and data", () =>
        {
            var board = new Board();
            board.Erase(0);
            board.Program(0x08000008, 1);
            board.Program(0x08000008, 2);
            board.Machine.Reset();
            board.Program(0x08017000, 0x1122334455667788);
            Check.Equal(board.Flash.Operations, 3, "operations");
            Check.Equal(board.Flash.OperationLog, "1 erase 0x08000000 2048 0\n"
                + "2 program 0x08000008 8 22000 0100000000000000\n3 program 0x08017000 8 22164 8877665544332211", "the log");
            board.Flash.ClearLog();
            Check.Equal(board.Flash.OperationLog, "", "the log after it is cleared");
            Check.Equal(board.Flash.Operations, 3, "operations after that");
        });
        Check.Test("flash: the erases of each page are counted, torn ones too", () =>
        {
            var board = new Board();
            board.Erase(3);
            board.Erase(3);
            board.Flash.CutAt(1, "torn");
            board.Erase(127);
            var wear = board.Flash.Wear.Split(' ');
            Check.Equal(wear.Length, 128, "pages");
            Check.Equal(wear[3] + wear[127] + wear[4], "210", "pages 3, 127 and 4");
        });
        Check.Test("flash: the log keeps the newest of many operations", () =>
        {
            var board = new Board();
            for(var i = 0; i < 10010; i++)
            {
                board.Program((uint)(0x08000000 + 8 * (i % 512)), 0);
            }
            var lines = board.Flash.OperationLog.Split('\n');
            Check.That(lines.Length <= 10000, "no more than 10,000");
            Check.That(lines.Last().StartsWith("10010 ", StringComparison.Ordinal), "the last one");
        });
    }

    private static void Cutting()
    {
        Check.Test("flash: a cut before the n-th operation leaves it undone, halts the core and tells", () =>
        {
            var board = new Board();
            board.Program(0x08000000, 1);
            board.Flash.CutAt(2, "before");
            board.Program(0x08000008, 2);
            Check.That(!board.Flash.CutDone && !board.Core.IsHalted, "not at the first");
            board.Program(0x08000010, 3);
            Check.That(board.Flash.CutDone && board.Core.IsHalted && !board.Flash.Powered, "at the second");
            Check.Equal(board.PeekUnit(0x08000008), 2ul, "the one before");
            Check.Equal(board.PeekUnit(0x08000010), Board.Blank, "the one that was cut");
            Check.Equal(board.Told.Last(), "cut 3 before", "what is told");
        });
        Check.Test("flash: a cut after the n-th operation leaves it done", () =>
        {
            var board = new Board();
            board.Flash.CutAt(1, "after");
            board.StartProgram(0x08000008, 2);
            Check.That(!board.Flash.CutDone, "not while it is busy");
            board.Pass(Board.ProgramMicros);
            Check.That(board.Flash.CutDone && board.Core.IsHalted, "at its end");
            Check.Equal(board.PeekUnit(0x08000008), 2ul, "the unit");
            Check.Equal(board.Status & Board.Eop, 0u, "nobody hears of its end");
            Check.Equal(board.Told.Last(), "cut 1 after", "what is told");
        });
        Check.Test("flash: a cut erase leaves something between before and after, by the seed", () =>
        {
            Check.Equal(TornErase(5), TornErase(5), "the same seed");
            Check.That(TornErase(5) != TornErase(6), "another seed");
            foreach(var shape in new[] { "half", "random", "unstable", "ecc" })
            {
                var board = Torn(shape, 1, true);
                Check.Equal(board.Told.Last(), "cut 1 " + shape, "what is told");
                for(var address = 0x08000000u; address < 0x08000800; address += 8)
                {
                    Check.Equal(board.PeekUnit(address) & 0x00000000FFFFFFFF, 0xFFFFFFFFul, "a bit that was one");
                }
                Check.That(SideFile(board).Contains("torn"), "the units are torn");
            }
        });
        Check.Test("flash: half an erase leaves the first half erased, torn, and the rest as it was, torn", () =>
        {
            var board = Torn("half", 1, true);
            Check.Equal(board.PeekUnit(0x080003F8), Board.Blank, "the last unit of the first half");
            Check.Equal(board.PeekUnit(0x08000400), 0x00000000FFFFFFFFul, "the first one of the second");
            var notes = SideFile(board).Split('\n');
            Check.Equal(notes[0], "00000 torn", "the first unit's note");
            Check.Equal(notes.Length, 257, "notes, and what follows the last line's end");
        });
        Check.Test("flash: a cut program leaves something between before and after, by the seed", () =>
        {
            foreach(var shape in new[] { "half", "random", "unstable", "ecc" })
            {
                var board = Torn(shape, 7, false);
                Check.Equal(board.PeekUnit(0x08000000) & 0xFFFF0000FFFF0000, 0xFFFF0000FFFF0000ul, "bits that should stay");
                Check.That(SideFile(board).StartsWith("00000 torn", StringComparison.Ordinal), "the unit is torn");
                Check.Equal(SideFile(board).Contains("unreadable"), shape == "ecc", "unreadable, " + shape);
                Check.Equal(SideFile(board).Contains("unstable"), shape == "unstable", "unstable, " + shape);
            }
            Check.Equal(Torn("half", 1, false).PeekUnit(0x08000000), 0xFFFFFFFFFFFF0000ul, "half of it");
        });
        Check.Test("flash: a torn cut draws its shape from the seed, and in time every shape", () =>
        {
            var unreadable = 0;
            var unstable = 0;
            for(var seed = 1; seed <= 40; seed++)
            {
                var side = SideFile(Torn("torn", seed, false));
                unreadable += side.Contains("unreadable") ? 1 : 0;
                unstable += side.Contains("unstable") ? 1 : 0;
            }
            Check.That(unreadable > 2 && unreadable < 25, "unreadable ones: " + unreadable);
            Check.That(unstable > 2 && unstable < 25, "unstable ones: " + unstable);
        });
        Check.Test("flash: an unstable bit reads differently in time, a settled one never", () =>
        {
            var board = Torn("unstable", 3, false);
            board.Flash.PowerOn();
            var seen = Enumerable.Range(0, 50).Select(_ => board.ReadUnit(0x08000000)).Distinct().ToArray();
            Check.That(seen.Length > 1, "it wavers");
            Check.That(seen.All(value => (value & 0xFFFF0000FFFF0000) == 0xFFFF0000FFFF0000), "only where it was programmed");
        });
        Check.Test("flash: a torn unit is taken while it reads blank, else refused without blame", () =>
        {
            var board = Torn("half", 1, false);
            board.Flash.PowerOn();
            Check.Equal(board.Program(0x08000000, 0x1234) & (Board.Progerr | Board.Eop), Board.Progerr, "one that doesn't read blank");
            Check.Equal(board.Flash.ViolationCount, 0, "violations of that");
            board = Torn("half", 1, true);
            board.Flash.PowerOn();
            Check.Equal(board.Program(0x08000008, 0x1234), Board.Eop, "one that does");
            Check.Equal(board.Flash.ViolationCount, 0, "violations");
        });
        Check.Test("flash: a unit that was cut can be read, or not, as its shape says", () =>
        {
            var board = Torn("ecc", 1, false);
            board.Flash.PowerOn();
            board.Read(0x08000000);
            Check.Equal(board.Nvic.Pending.Count, 1, "NMIs");
        });
        Check.Test("flash: programming a torn unit clears bits and never sets one", () =>
        {
            var path = Path.GetTempFileName();
            File.WriteAllBytes(path, Enumerable.Repeat((byte)0xFF, 256 * 1024).Select((value, i) => i == 0 ? (byte)0xFE : value).ToArray());
            File.WriteAllText(path + ".units", "00000 torn unstable=0100000000000000");
            var board = new Board();
            board.Flash.LoadImage(new ReadFilePath(path));
            File.Delete(path);
            File.Delete(path + ".units");
            var tries = 1;
            while(board.Program(0x08000000, 0xFFFFFFFFFFFFFF0F) != Board.Eop && tries < 50)
            {
                tries++;
            }
            Check.That(tries > 1 && tries < 50, "taken when it happens to read blank, at try " + tries);
            Check.Equal(board.PeekUnit(0x08000000), 0xFFFFFFFFFFFFFF0Eul, "the unit");
        });
        Check.Test("flash: a torn unit that can't be read isn't taken, blank or not", () =>
        {
            var board = new Board();
            board.Flash.CutAt(1, "ecc", 2);
            board.StartErase(0);
            board.Pass(Board.EraseMicros / 2);
            board.Flash.PowerOn();
            var units = SideFile(board).Split('\n').Where(line => line.EndsWith("torn unreadable", StringComparison.Ordinal)).ToArray();
            Check.That(units.Length > 0, "there are such units");
            var address = 0x08000000 + Convert.ToUInt32(units[0].Substring(0, 5), 16);
            Check.Equal(board.PeekUnit(address), Board.Blank, "it reads blank");
            Check.Equal(board.Program(address, 1) & (Board.Progerr | Board.Eop), Board.Progerr, "NSSR");
        });
        Check.Test("flash: without power nothing has an effect, and power-on begins anew", () =>
        {
            var board = new Board();
            board.Unlock();
            board.Flash.PowerOff();
            Check.That(board.Core.IsHalted, "the core is halted");
            board.Control = Board.Per;
            board.Control = Board.Per | Board.Strt;
            board.Write(0x08000000, 0);
            board.Write(0x08000004, 0);
            board.Pass(Board.EraseMicros);
            Check.Equal(board.Flash.Operations, 0, "operations");
            Check.Equal(board.Flash.ViolationCount, 0, "violations");
            board.Flash.PowerOn();
            Check.That(!board.Core.IsHalted, "the core runs");
            Check.Equal(board.Control & Board.Lock, Board.Lock, "LOCK");
            Check.Equal(board.Erase(0), Board.Eop, "an erase");
        });
        Check.Test("flash: power-off in the middle of an operation tears it", () =>
        {
            var board = new Board();
            board.StartErase(0);
            board.Pass(1000);
            board.Flash.PowerOff();
            Check.That(SideFile(board).Contains("torn"), "the page is torn");
            Check.Equal(board.Machine.Bus.Locked.Size, 0ul, "the runtime's memory is back");
            board.Flash.PowerOn();
            board.Pass(Board.EraseMicros);
            Check.Equal(board.Status, 0u, "NSSR");
        });
        Check.Test("flash: a cut can be taken back, and one that makes no sense is refused", () =>
        {
            var board = new Board();
            board.Flash.CutAt(1, "torn");
            board.Flash.CancelCut();
            Check.Equal(board.Erase(0), Board.Eop, "an erase");
            Check.Throws<RecoverableException>(() => board.Flash.CutAt(0, "torn"), "operation 0");
            Check.Throws<RecoverableException>(() => board.Flash.CutAt(1, "sideways"), "an unknown moment");
        });
        Check.Test("flash: a planned cut outlives a reset", () =>
        {
            var board = new Board();
            board.Flash.CutAt(1, "before");
            board.Machine.Reset();
            board.StartErase(0);
            Check.That(board.Flash.CutDone, "it comes");
        });
    }

    /// <summary>A page half of whose bits are zero, or a unit, cut in the middle of its erase or program.</summary>
    private static Board Torn(string shape, int seed, bool erase)
    {
        var board = new Board();
        if(erase)
        {
            for(var address = 0x08001000u - 0x800; address >= 0x08000000; address -= 8)
            {
                board.Poke(address, UInt32.MaxValue);
                board.Poke(address + 4, 0);
            }
        }
        board.Flash.CutAt(1, shape, seed);
        if(erase)
        {
            board.StartErase(0);
            board.Pass(Board.EraseMicros / 2);
        }
        else
        {
            board.StartProgram(0x08000000, 0xFFFF0000FFFF0000);
            board.Pass(Board.ProgramMicros / 2);
        }
        Check.That(board.Flash.CutDone && board.Core.IsHalted, "the cut came in the middle");
        return board;
    }

    private static string TornErase(int seed)
    {
        var board = Torn("random", seed, true);
        return String.Join(",", Enumerable.Range(0, 256).Select(unit => board.PeekUnit((uint)(0x08000000 + 8 * unit)).ToString("x16")));
    }

    /// <summary>What SaveImage writes beside the image; empty if nothing.</summary>
    private static string SideFile(Board board)
    {
        var path = Path.GetTempFileName();
        try
        {
            board.Flash.SaveImage(new WriteFilePath(path));
            return File.Exists(path + ".units") ? File.ReadAllText(path + ".units") : "";
        }
        finally
        {
            File.Delete(path);
            File.Delete(path + ".units");
        }
    }

    private static void Images()
    {
        Check.Test("flash: an image takes bytes, programmed units and the runtime along", () =>
        {
            var board = new Board();
            board.Program(0x08003800, 0x1122334455667788);
            board.Runtime.WriteBytes(0x100, new byte[] { 1, 2, 3 });
            var copy = board.Copy();
            Check.Equal(copy.ReadUnit(0x08003800), 0x1122334455667788ul, "the unit");
            Check.Equal(copy.Program(0x08003800, 1) & Board.Progerr, Board.Progerr, "it is programmed");
            Check.Equal(copy.Program(0x08003808, 1), Board.Eop, "its neighbour isn't");
            Check.Equal(copy.Runtime.ReadBytes(0x102, 1)[0], (byte)3, "the runtime");
        });
        Check.Test("flash: a unit programmed with all ones stays programmed in the image", () =>
        {
            var board = new Board();
            board.Program(0x08000018, Board.Blank);
            Check.Equal(SideFile(board), "00018 programmed\n", "the side file");
            Check.Equal(board.Copy().Program(0x08000018, 1) & Board.Progerr, Board.Progerr, "a program");
        });
        Check.Test("flash: unreadable, mended, torn and unstable units survive the image", () =>
        {
            foreach(var shape in new[] { "half", "unstable", "ecc" })
            {
                var board = Torn(shape, 3, true);
                Check.Equal(SideFile(board.Copy()), SideFile(board), shape);
            }
            var other = new Board();
            other.Flash.InjectEcc(0x08000010);
            other.Flash.InjectMendedEcc(0x08000018);
            var copy = other.Copy();
            copy.Read(0x08000018);
            Check.Equal(copy.Ecc & 3u << 30, 1u << 30, "the mended one");
            copy.Read(0x08000010);
            Check.Equal(copy.Nvic.Pending.Count, 1, "the unreadable one");
        });
        Check.Test("flash: sound flash needs no side file, and an old one is removed", () =>
        {
            Check.Equal(SideFile(new Board()), "", "a blank flash");
            var board = new Board();
            board.Program(0x08000000, 1);
            var path = Path.GetTempFileName();
            File.WriteAllText(path + ".units", "00000 torn\n");
            board.Flash.SaveImage(new WriteFilePath(path));
            Check.That(!File.Exists(path + ".units"), "the side file of an earlier image");
            File.Delete(path);
        });
        Check.Test("flash: an image with a blank runtime leaves the loaded one in place", () =>
        {
            var path = Path.GetTempFileName();
            new Board().Flash.SaveImage(new WriteFilePath(path));
            var board = new Board();
            board.Runtime.WriteBytes(0, new byte[] { 9 });
            board.Flash.LoadImage(new ReadFilePath(path));
            Check.Equal(board.Runtime.ReadBytes(0, 1)[0], (byte)9, "its first byte");
            File.Delete(path);
        });
        Check.Test("flash: an image of another size, or with notes that make no sense, is refused", () =>
        {
            var path = Path.GetTempFileName();
            File.WriteAllBytes(path, new byte[1000]);
            Check.Throws<RecoverableException>(() => new Board().Flash.LoadImage(new ReadFilePath(path)), "1,000 bytes");
            File.WriteAllBytes(path, new byte[256 * 1024]);
            foreach(var notes in new[] { "00003 torn", "40000 torn", "zzz torn", "00008 broken", "00008 unstable=12" })
            {
                File.WriteAllText(path + ".units", notes);
                Check.Throws<InvalidDataException>(() => new Board().Flash.LoadImage(new ReadFilePath(path)), notes);
            }
            File.Delete(path);
            File.Delete(path + ".units");
        });
    }

    private static void Options()
    {
        Check.Test("flash: option bytes are as delivered, but for the boot address", () =>
        {
            var board = new Board();
            var options = board.Flash.ReadDoubleWord(0x40);
            Check.Equal(options & (1u << 22 | 1u << 20 | 1u << 31), 1u << 22, "DBANK, SWAP_BANK, TZEN");
            Check.Equal(options & 0xFF, 0xAAu, "RDP");
            Check.Equal(options & 1u << 16, 1u << 16, "IWDG_SW");
            Check.Equal(board.Flash.ReadDoubleWord(0x44), 0x0800707Fu, "NSBOOTADD0R");
        });
        Check.Test("flash: the core finds its vectors where the option byte says, after each reset", () =>
        {
            var board = new Board();
            board.Machine.Reset();
            Check.Equal(board.Core.VectorTableOffset, 0x08007000u, "after a reset");
            board.Core.VectorTableOffset = 0;
            board.Flash.PowerOn();
            Check.Equal(board.Core.VectorTableOffset, 0x08007000u, "after power-on");
        });
        Check.Test("flash: with one bank, or banks swapped, this model does no operation", () =>
        {
            foreach(var options in new[] { 0x7FEFF8AAu & ~(1u << 22), 0x7FEFF8AAu | 1u << 20 })
            {
                var board = new Board();
                board.Flash.OptionBytes = options;
                Check.Equal(board.Erase(0) & (Board.Wrperr | Board.Eop), Board.Wrperr, "an erase");
                Check.Equal(board.Program(0x08000000, 0) & (Board.Wrperr | Board.Eop), Board.Wrperr, "a program");
            }
        });
        Check.Test("flash: the wait states that are written are read back", () =>
        {
            var board = new Board();
            board.Flash.WriteDoubleWord(0, 5);
            Check.Equal(board.Flash.ReadDoubleWord(0), 5u, "ACR");
        });
        Check.Test("flash: registers that are left to the chip can't be written unseen", () =>
        {
            var board = new Board();
            board.Flash.WriteDoubleWord(0x10, 0x08192A3B);
            Check.Equal(board.Flash.ViolationCount, 1, "violations");
        });
    }
}
