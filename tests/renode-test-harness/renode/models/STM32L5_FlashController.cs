using System;
using System.Collections.Generic;
using System.IO;

using Antmicro.Migrant.Hooks;
using Antmicro.Renode.Core;
using Antmicro.Renode.Exceptions;
using Antmicro.Renode.Logging;
using Antmicro.Renode.Peripherals.Bus;
using Antmicro.Renode.Peripherals.CPU;
using Antmicro.Renode.Peripherals.IRQControllers;
using Antmicro.Renode.Peripherals.Memory;
using Antmicro.Renode.Peripherals.Miscellaneous;
using Antmicro.Renode.Peripherals.UART;
using Antmicro.Renode.Time;
using Antmicro.Renode.Utilities;

using Range = Antmicro.Renode.Core.Range;

namespace Antmicro.Renode.Peripherals.MTD
{
    /// <summary>
    /// Bank 1 of the STM32L5's flash and its registers, by RM0438, "Embedded Flash memory (FLASH)": non-secure, two banks of 2 KiB pages
    /// (DBANK = 1). It refuses what silicon refuses, and reports what firmware should never have tried as a violation. On top of that it counts
    /// erases and programs, and takes the power away at a planned one.
    /// </summary>
    /// <remarks>
    /// The pages of the runtime are mapped memory, so that code runs; they count as write-protected. Accesses that don't come from the core (the
    /// monitor's, a debugger's) see and change the cells directly, as a programmer with a clip would.
    /// </remarks>
    public class STM32L5_FlashController : IDoubleWordPeripheral, IKnownSize
    {
        public STM32L5_FlashController(IMachine machine, CortexM cpu, NVIC nvic, STM32L5_RCC rcc, BoardEvents events, MappedMemory runtime,
            int runtimeOffset, uint bootAddress = 0x08007000, ulong eraseMicros = 22000, ulong programMicros = 82)
        {
            this.machine = machine;
            this.cpu = cpu;
            this.nvic = nvic;
            this.rcc = rcc;
            this.events = events;
            this.runtime = runtime;
            this.runtimeOffset = runtimeOffset;
            this.eraseMicros = eraseMicros;
            this.programMicros = programMicros;
            this.bootAddress = bootAddress;
            wear = new int[cells.Size / FlashCells.PageSize];
            BootAddress = bootAddress | BootAddressLowBits;
            IRQ = new GPIO();
            runtime.WriteBytes(0, Blank((int)runtime.Size));
            SetResetValues();
            cpu.Halted += NoteEndOfCore;
            FollowResets();
        }

        /// <summary>A reset that finds the flash busy tears the operation.</summary>
        public void Reset()
        {
            if(busy)
            {
                TearNow((TearShape)cells.Random.Below(Shapes));
            }
            SetResetValues();
        }

        public uint ReadDoubleWord(long offset)
        {
            switch(offset)
            {
            case AccessControlRegister:
                return accessControl;
            case StatusRegister:
                return status | (busy ? Busy : 0);
            case ControlRegister:
                return control | (locked ? Lock : 0) | OptionLock;
            case EccRegister:
                return ecc;
            case OptionRegister:
                return OptionBytes;
            case BootAddress0Register:
                return BootAddress;
            case WriteProtection1ARegister:
                return protectedFirst | protectedLast << 16;
            case WriteProtection1BRegister:
                return NoPages;
            default:
                return 0;
            }
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            if(!rcc.Powered)
            {
                return;
            }
            switch(offset)
            {
            case AccessControlRegister:
                accessControl = value;
                return;
            case KeyRegister:
                TakeKey(value);
                return;
            case StatusRegister:
                status &= ~(value & (EndOfOperation | Errors));
                UpdateInterrupt();
                return;
            case ControlRegister:
                WriteControl(value);
                return;
            case EccRegister:
                ecc = (ecc & ~(value & EccFlags) & ~EccInterrupt) | (value & EccInterrupt);
                UpdateInterrupt();
                return;
            default:
                Violate("write of flash register 0x{0:x2}, which this model leaves to the chip", offset);
                return;
            }
        }

        // ---- what the core does with the cells ------------------------------------------------------

        /// <summary>Reads 1, 2 or 4 bytes at <paramref name="offset"/> from the bank's start.</summary>
        public uint ReadCells(int offset, int count)
        {
            if(offset % count != 0)
            {
                return ReadByteByByte(offset, count);
            }
            if(!CoreIsAccessing())
            {
                return cells.Peek(offset, count);
            }
            if(!rcc.Powered)
            {
                return 0;
            }
            if(busy)
            {
                Violate("read of 0x{0:x8} while the bank is busy", Base + offset);
                return 0;
            }
            if(!cells.CanRead(offset))
            {
                NoteEcc(EccDetected, offset);
                nvic.SetPendingIRQ(NonMaskableInterrupt);
            }
            else if(cells.IsMended(offset))
            {
                NoteEcc(EccCorrected, offset);
                UpdateInterrupt();
            }
            return cells.Read(offset, count);
        }

        /// <summary>
        /// RM0438, "Flash main memory programming sequences": with PG set, two words, the lower first; the second one starts the programming.
        /// </summary>
        public void WriteCells(int offset, int count, uint value)
        {
            if(!CoreIsAccessing())
            {
                for(var i = 0; i < count && offset + i < BankSize; i++)
                {
                    cells.Poke(offset + i, (byte)(value >> (8 * i)));
                }
                return;
            }
            if(!rcc.Powered)
            {
                return;
            }
            if(busy)
            {
                Violate("write to 0x{0:x8} while the bank is busy", Base + offset);
                return;
            }
            var refusal = SequenceError(offset, count);
            if(refusal != 0)
            {
                firstWord = null;
                Fail(refusal);
                Violate("write of {0} bytes to 0x{1:x8}: {2}", count, Base + offset, Describe(refusal));
                return;
            }
            if(firstWord == null)
            {
                firstWord = value;
                firstOffset = offset;
                return;
            }
            var data = firstWord.Value | (ulong)value << 32;
            firstWord = null;
            Program(firstOffset, data);
        }

        // ---- what a test does -----------------------------------------------------------------------

        /// <summary>Erases and programs begun since the machine was made, over all resets and power cuts.</summary>
        public int Operations { get; private set; }

        /// <summary>
        /// Takes the power away at the n-th operation from now: <c>before</c> it has begun, in the middle of it (<c>torn</c>: the shape is drawn
        /// from the seed; or <c>half</c>, <c>random</c>, <c>unstable</c>, <c>ecc</c>), or <c>after</c> it has ended.
        /// </summary>
        public void CutAt(int operation, string moment, int seed = 1)
        {
            if(operation < 1)
            {
                throw new RecoverableException("the operation to cut at is 1 (the next one) or more");
            }
            if(Array.IndexOf(Moments, moment) < 0)
            {
                throw new RecoverableException("a cut comes at one of: " + String.Join(", ", Moments));
            }
            cutAt = Operations + operation;
            cutMoment = moment;
            cutSeed = unchecked((uint)seed);
            CutDone = false;
        }

        /// <summary>Takes a planned cut back.</summary>
        public void CancelCut()
        {
            cutAt = 0;
        }

        /// <summary>Whether the cut that was planned last has come.</summary>
        public bool CutDone { get; private set; }

        /// <summary>The next operations take their time, then report PROGERR, and change nothing.</summary>
        public void FailNext(int count)
        {
            failures = count;
        }

        /// <summary>
        /// The newest operations, one a line: number, kind, address, size, microseconds of virtual time, and of a program its bytes in hex.
        /// </summary>
        public string OperationLog
        {
            get { return String.Join("\n", log); }
        }

        /// <summary>Erases of each page since the machine was made, from the first page on.</summary>
        public string Wear
        {
            get { return String.Join(" ", wear); }
        }

        public void ClearLog()
        {
            log.Clear();
        }

        /// <summary>What the firmware did that it must not do, one a line.</summary>
        public string Violations
        {
            get { return String.Join("\n", violations); }
        }

        public int ViolationCount { get; private set; }

        /// <summary>Of tears drawn by resets and of unstable bits; a cut brings its own.</summary>
        public void Seed(int seed)
        {
            cells.Random = new SeededRandom(unchecked((uint)seed));
        }

        /// <summary>Makes the double word at this address unreadable (two bit errors) until its page is erased.</summary>
        public void InjectEcc(uint address)
        {
            cells.MakeUnreadable(OffsetOf(address));
        }

        /// <summary>Gives the double word at this address one bit error, which reads mend and report, until its page is erased.</summary>
        public void InjectMendedEcc(uint address)
        {
            cells.MakeMended(OffsetOf(address));
        }

        /// <summary>Inverts bits of the byte at this address behind the back of ECC.</summary>
        public void Flip(uint address, byte mask)
        {
            cells.Flip(OffsetOf(address), mask);
        }

        /// <summary>Write protection (area A of bank 1, WRP1AR) of the pages first to last.</summary>
        public void Protect(int first, int last)
        {
            protectedFirst = (uint)first;
            protectedLast = (uint)last;
        }

        public void Unprotect()
        {
            protectedFirst = NoPages;
            protectedLast = 0;
        }

        /// <summary>
        /// Bank 1 as a file of 256 KiB, runtime included, and, beside it under the same name with <c>.units</c>, what the bytes don't tell of
        /// single units. A blank runtime in the file leaves the loaded one in place.
        /// </summary>
        public void LoadImage(ReadFilePath path)
        {
            var image = File.ReadAllBytes(path.ToString());
            if(image.Length != cells.Size)
            {
                throw new RecoverableException(String.Format("{0} has {1} bytes, the bank {2}", path, image.Length, cells.Size));
            }
            var notes = path + NotesSuffix;
            cells.Load(image, File.Exists(notes) ? File.ReadAllLines(notes) : new string[0]);
            var part = new byte[runtime.Size];
            Array.Copy(image, runtimeOffset, part, 0, part.Length);
            if(Array.Exists(part, value => value != 0xFF))
            {
                runtime.WriteBytes(0, part);
            }
        }

        public void SaveImage(WriteFilePath path)
        {
            var image = cells.Image();
            Array.Copy(runtime.ReadBytes(0, (int)runtime.Size), 0, image, runtimeOffset, (int)runtime.Size);
            File.WriteAllBytes(path.ToString(), image);
            var notes = path + NotesSuffix;
            var lines = new List<string>(cells.Notes());
            if(lines.Count > 0)
            {
                File.WriteAllLines(notes, lines.ToArray());
            }
            else
            {
                File.Delete(notes);
            }
        }

        /// <summary>Cuts the power now; an operation that is under way is torn.</summary>
        public void PowerOff()
        {
            if(busy)
            {
                TearNow((TearShape)cells.Random.Below(Shapes));
            }
            rcc.PowerOff();
        }

        public void PowerOn()
        {
            PowerOff();
            rcc.PowerOn();
        }

        public bool Powered
        {
            get { return rcc.Powered; }
        }

        /// <summary>
        /// When the runtime's memory is taken away from the core, so that a fetch or read of it fails: <c>erases</c>, <c>always</c> (programs too,
        /// much slower) or <c>never</c>.
        /// </summary>
        public string Guard
        {
            get
            {
                return guard;
            }

            set
            {
                if(Array.IndexOf(Guards, value) < 0)
                {
                    throw new RecoverableException("Guard is one of: " + String.Join(", ", Guards));
                }
                guard = value;
            }
        }

        /// <summary>FLASH_OPTR.</summary>
        public uint OptionBytes { get; set; } = FactoryOptions;

        /// <summary>What FLASH_NSBOOTADD0R reads, seven ones at its end; where the core boots stays as it was made.</summary>
        public uint BootAddress { get; set; }

        public GPIO IRQ { get; private set; }

        public long Size
        {
            get { return 0x400; }
        }

        // ---- inside ---------------------------------------------------------------------------------

        [PostDeserialization]
        private void FollowResets()
        {
            machine.MachineReset += _ => SetVectors();
        }

        /// <summary>NSBOOTADD0 is where the core finds its vectors after each reset.</summary>
        private void SetVectors()
        {
            cpu.VectorTableOffset = bootAddress;
        }

        /// <summary>
        /// The emulated core ends where it can't go on, for instance at a fetch from memory that was taken away (silicon would stall there). It
        /// is lost to this machine for good; halted, it lets time go on and whoever runs the machine come back.
        /// </summary>
        private void NoteEndOfCore(HaltArguments halt)
        {
            if(halt.Reason == HaltReason.Abort)
            {
                Violate(guarded ? "instruction fetch from the runtime's pages while the bank is busy: the core is lost"
                    : "the core can't go on, see the log");
                cpu.IsHalted = true;
            }
        }

        /// <summary>An access that isn't aligned may reach into the next double word, or over the bank's end, where it reads zeros.</summary>
        private uint ReadByteByByte(int offset, int count)
        {
            var value = 0u;
            for(var i = 0; i < count && offset + i < BankSize; i++)
            {
                value |= ReadCells(offset + i, 1) << (8 * i);
            }
            return value;
        }

        private void SetResetValues()
        {
            locked = true;
            deaf = false;
            firstKeyTaken = false;
            firstWord = null;
            status = 0;
            control = 0;
            ecc = 0;
            accessControl = 0;
            IRQ.Unset();
        }

        /// <summary>RM0438, "Unlocking the Flash memory": two keys in a row; anything else, and the register is deaf until the next reset.</summary>
        private void TakeKey(uint key)
        {
            if(deaf)
            {
                return;
            }
            if(locked && !firstKeyTaken && key == Key1)
            {
                firstKeyTaken = true;
                return;
            }
            if(locked && firstKeyTaken && key == Key2)
            {
                firstKeyTaken = false;
                locked = false;
                return;
            }
            deaf = true;
            locked = true;
            control = 0;
            Violate("0x{0:x8} in NSKEYR: not the key that is due", key);
        }

        private void WriteControl(uint value)
        {
            if(busy)
            {
                Violate("write of NSCR while the bank is busy");
                return;
            }
            if(locked)
            {
                if((value & ~(Lock | OptionLock)) != 0)
                {
                    Violate("write of 0x{0:x8} to NSCR while it is locked", value);
                }
                return;
            }
            control = value & WritableControl;
            if((control & ProgramEnable) == 0)
            {
                firstWord = null;
            }
            if((value & Lock) != 0)
            {
                locked = true;
            }
            UpdateInterrupt();
            if((value & Start) != 0)
            {
                Erase();
            }
        }

        /// <summary>RM0438, "Flash main memory erase sequences", page erase.</summary>
        private void Erase()
        {
            var page = (int)((control >> PageShift) & PageMask);
            var refusal = EraseError(page);
            if(refusal != 0)
            {
                Fail(refusal);
                Violate("erase with NSCR = 0x{0:x8}: {1}", control, Describe(refusal));
                return;
            }
            control |= Start;
            Begin(new Operation(true, page * FlashCells.PageSize, 0));
        }

        private uint EraseError(int page)
        {
            if((status & Errors) != 0 || (control & (ProgramEnable | PageErase | MassErase)) != PageErase)
            {
                return SequenceErrorFlag;
            }
            return (control & Bank2) != 0 || IsProtected(page) || !TwoBanks ? WriteProtectionErrorFlag : 0;
        }

        private uint SequenceError(int offset, int count)
        {
            if(locked || (control & ProgramEnable) == 0 || (control & (PageErase | MassErase)) != 0 || (status & Errors) != 0)
            {
                return SequenceErrorFlag;
            }
            if(count != 4)
            {
                return SizeErrorFlag;
            }
            var due = firstWord == null ? offset - offset % FlashCells.UnitSize : firstOffset + 4;
            return offset != due ? AlignmentErrorFlag : 0;
        }

        private void Program(int offset, ulong data)
        {
            if(IsProtected(offset / FlashCells.PageSize) || !TwoBanks)
            {
                Fail(WriteProtectionErrorFlag);
                Violate("program of 0x{0:x8}: {1}", Base + offset, Describe(WriteProtectionErrorFlag));
                return;
            }
            var verdict = cells.Verdict(offset, data);
            if(verdict == UnitVerdict.Programmable)
            {
                Begin(new Operation(false, offset, data));
                return;
            }
            Fail(ProgrammingErrorFlag);
            if(verdict == UnitVerdict.AlreadyProgrammed)
            {
                Violate("program of 0x{0:x8}: already programmed since the last erase", Base + offset);
            }
        }

        private bool IsProtected(int page)
        {
            return (page >= runtimeOffset / FlashCells.PageSize && page < (runtimeOffset + runtime.Size) / FlashCells.PageSize)
                || (page >= protectedFirst && page <= protectedLast);
        }

        private bool TwoBanks
        {
            get { return (OptionBytes & (DualBank | SwapBanks)) == DualBank; }
        }

        private void Begin(Operation operation)
        {
            Operations++;
            var moment = Operations == cutAt ? cutMoment : null;
            if(moment == "before")
            {
                Cut();
                return;
            }
            Remember(operation);
            current = operation;
            busy = true;
            GuardRuntime(true);
            var generation = ++generations;
            var micros = operation.IsErase ? eraseMicros : programMicros;
            var torn = moment != null && moment != "after";
            machine.ScheduleAction(TimeInterval.FromMicroseconds(torn ? micros / 2 : micros), _ =>
            {
                if(busy && generation == generations)
                {
                    End(moment);
                }
            });
        }

        private void End(string moment)
        {
            if(moment != null)
            {
                cells.Random = new SeededRandom(cutSeed);
                if(moment != "after")
                {
                    TearNow(ShapeOf(moment));
                    Cut();
                    return;
                }
            }
            var failed = failures > 0;
            if(failed)
            {
                failures--;
            }
            else if(current.IsErase)
            {
                cells.Erase(current.Offset / FlashCells.PageSize);
            }
            else
            {
                cells.Program(current.Offset, current.Data);
            }
            Finish();
            if(moment != null)
            {
                Cut();
                return;
            }
            if(failed)
            {
                Fail(ProgrammingErrorFlag);
            }
            else if((control & EndInterrupt) != 0)
            {
                status |= EndOfOperation;
                UpdateInterrupt();
            }
        }

        private void TearNow(TearShape shape)
        {
            if(current.IsErase)
            {
                cells.TearErase(current.Offset / FlashCells.PageSize, shape);
            }
            else
            {
                cells.TearProgram(current.Offset, current.Data, shape);
            }
            Finish();
        }

        private void Finish()
        {
            busy = false;
            control &= ~Start;
            GuardRuntime(false);
        }

        private TearShape ShapeOf(string moment)
        {
            return moment == "torn" ? (TearShape)cells.Random.Below(Shapes) : (TearShape)Enum.Parse(typeof(TearShape), moment, true);
        }

        private void Cut()
        {
            CutDone = true;
            cutAt = 0;
            rcc.PowerOff();
            events.Emit(String.Format("cut {0} {1}", Operations, cutMoment));
        }

        private void GuardRuntime(bool away)
        {
            if(away ? guard == "never" || (guard == "erases" && !current.IsErase) : !guarded)
            {
                return;
            }
            guarded = away;
            machine.SystemBus.SetAddressRangeLocked(new Range((ulong)(Base + runtimeOffset), (ulong)runtime.Size), away);
        }

        private void Fail(uint flag)
        {
            status |= flag;
            if((control & ErrorInterrupt) != 0)
            {
                status |= OperationErrorFlag;
            }
            UpdateInterrupt();
        }

        private void NoteEcc(uint flag, int offset)
        {
            if((ecc & EccFlags) == 0)
            {
                ecc = (ecc & EccInterrupt) | (uint)(offset - offset % FlashCells.UnitSize);
            }
            ecc |= flag;
        }

        private void UpdateInterrupt()
        {
            IRQ.Set(((status & EndOfOperation) != 0 && (control & EndInterrupt) != 0)
                || ((status & Errors) != 0 && (control & ErrorInterrupt) != 0)
                || ((ecc & EccCorrected) != 0 && (ecc & EccInterrupt) != 0));
        }

        private void Remember(Operation operation)
        {
            if(log.Count >= LogLimit)
            {
                log.RemoveRange(0, LogLimit / 2);
            }
            var micros = (ulong)machine.ElapsedVirtualTime.TimeElapsed.TotalMicroseconds;
            if(operation.IsErase)
            {
                var page = operation.Offset / FlashCells.PageSize;
                wear[page]++;
                log.Add(String.Format("{0} erase 0x{1:x8} {2} {3}", Operations, Base + operation.Offset, FlashCells.PageSize, micros));
                return;
            }
            var bytes = BitConverter.ToString(BitConverter.GetBytes(operation.Data)).Replace("-", "").ToLowerInvariant();
            log.Add(String.Format("{0} program 0x{1:x8} {2} {3} {4}", Operations, Base + operation.Offset, FlashCells.UnitSize, micros, bytes));
        }

        private void Violate(string format, params object[] values)
        {
            var text = String.Format(format, values);
            ViolationCount++;
            if(violations.Count < ViolationLimit)
            {
                violations.Add(text);
            }
            this.Log(LogLevel.Error, "{0}", text);
            events.Emit("violation " + text);
        }

        private bool CoreIsAccessing()
        {
            ICPU core;
            return machine.SystemBus.TryGetCurrentCPU(out core);
        }

        private int OffsetOf(uint address)
        {
            if(address < Base || address >= Base + cells.Size)
            {
                throw new RecoverableException(String.Format("0x{0:x8} lies outside bank 1", address));
            }
            return (int)(address - Base);
        }

        private static string Describe(uint flag)
        {
            switch(flag)
            {
            case WriteProtectionErrorFlag:
                return "WRPERR, those pages can't be written";
            case AlignmentErrorFlag:
                return "PGAERR, not the word that is due";
            case SizeErrorFlag:
                return "SIZERR, programming takes words";
            default:
                return "PGSERR, not the sequence of the manual";
            }
        }

        private static byte[] Blank(int size)
        {
            var blank = new byte[size];
            for(var i = 0; i < size; i++)
            {
                blank[i] = 0xFF;
            }
            return blank;
        }

        private bool locked;
        private bool deaf;
        private bool firstKeyTaken;
        private uint? firstWord;
        private int firstOffset;
        private uint status;
        private uint control;
        private uint ecc;
        private uint accessControl;
        private uint protectedFirst = NoPages;
        private uint protectedLast;

        private bool busy;
        private bool guarded;
        private Operation current;
        private int generations;
        private int failures;
        private int cutAt;
        private string cutMoment;
        private uint cutSeed;
        private string guard = "erases";

        private readonly IMachine machine;
        private readonly CortexM cpu;
        private readonly NVIC nvic;
        private readonly STM32L5_RCC rcc;
        private readonly BoardEvents events;
        private readonly MappedMemory runtime;
        private readonly int runtimeOffset;
        private readonly ulong eraseMicros;
        private readonly ulong programMicros;
        private readonly uint bootAddress;
        private readonly FlashCells cells = new FlashCells(BankSize);
        private readonly List<string> log = new List<string>();
        private readonly int[] wear;
        private readonly List<string> violations = new List<string>();

        private static readonly string[] Moments = { "before", "torn", "half", "random", "unstable", "ecc", "after" };
        private static readonly string[] Guards = { "erases", "always", "never" };

        private const uint Base = 0x08000000;
        private const int BankSize = 256 * 1024;
        private const int Shapes = 4;
        private const int LogLimit = 10000;
        private const int ViolationLimit = 1000;
        private const string NotesSuffix = ".units";
        private const int NonMaskableInterrupt = 2;
        private const uint Key1 = 0x45670123;
        private const uint Key2 = 0xCDEF89AB;

        private const long AccessControlRegister = 0x00;
        private const long KeyRegister = 0x08;
        private const long StatusRegister = 0x20;
        private const long ControlRegister = 0x28;
        private const long EccRegister = 0x30;
        private const long OptionRegister = 0x40;
        private const long BootAddress0Register = 0x44;
        private const long WriteProtection1ARegister = 0x58;
        private const long WriteProtection1BRegister = 0x5C;

        // NSSR
        private const uint EndOfOperation = 1u << 0;
        private const uint OperationErrorFlag = 1u << 1;
        private const uint ProgrammingErrorFlag = 1u << 3;
        private const uint WriteProtectionErrorFlag = 1u << 4;
        private const uint AlignmentErrorFlag = 1u << 5;
        private const uint SizeErrorFlag = 1u << 6;
        private const uint SequenceErrorFlag = 1u << 7;
        private const uint OptionErrorFlag = 1u << 13;
        private const uint Busy = 1u << 16;
        private const uint Errors = OperationErrorFlag | ProgrammingErrorFlag | WriteProtectionErrorFlag | AlignmentErrorFlag | SizeErrorFlag
            | SequenceErrorFlag | OptionErrorFlag;

        // NSCR
        private const uint ProgramEnable = 1u << 0;
        private const uint PageErase = 1u << 1;
        private const uint MassErase = 1u << 2 | 1u << 15;
        private const int PageShift = 3;
        private const uint PageMask = 0x7F;
        private const uint Bank2 = 1u << 11;
        private const uint Start = 1u << 16;
        private const uint EndInterrupt = 1u << 24;
        private const uint ErrorInterrupt = 1u << 25;
        private const uint OptionLock = 1u << 30;
        private const uint Lock = 1u << 31;
        private const uint WritableControl = ProgramEnable | PageErase | MassErase | PageMask << PageShift | Bank2 | EndInterrupt | ErrorInterrupt;

        // ECCR
        private const uint EccInterrupt = 1u << 24;
        private const uint EccCorrected = 1u << 30;
        private const uint EccDetected = 1u << 31;
        private const uint EccFlags = EccDetected | EccCorrected | 1u << 29 | 1u << 28;

        // OPTR as the chip is delivered: nothing protected, watchdog started by software, two banks, boot from NSBOOTADD0
        private const uint FactoryOptions = 0x7FEFF8AA;
        private const uint SwapBanks = 1u << 20;
        private const uint DualBank = 1u << 22;

        // WRP1AR, WRP1BR: first page above last page, nothing is protected
        private const uint NoPages = 0x7F;
        private const uint BootAddressLowBits = 0x7F;

        private struct Operation
        {
            public Operation(bool isErase, int offset, ulong data)
            {
                IsErase = isErase;
                Offset = offset;
                Data = data;
            }

            public readonly bool IsErase;
            public readonly int Offset;
            public readonly ulong Data;
        }
    }
}
