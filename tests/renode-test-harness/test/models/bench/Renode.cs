// The test's own bench: as much of Renode's interfaces as the models use, with a clock that tests move by hand. Not Renode: the names and
// signatures are Renode 1.16.1's, what they do is the least that the models' rules need.
using System;
using System.Collections.Generic;

using Antmicro.Renode.Core;
using Antmicro.Renode.Peripherals;
using Antmicro.Renode.Peripherals.Bus;
using Antmicro.Renode.Peripherals.CPU;
using Antmicro.Renode.Time;

using Range = Antmicro.Renode.Core.Range;

namespace Antmicro.Migrant
{
    [AttributeUsage(AttributeTargets.Field)]
    public class TransientAttribute : Attribute
    {
    }
}

namespace Antmicro.Migrant.Hooks
{
    [AttributeUsage(AttributeTargets.Method)]
    public class PostDeserializationAttribute : Attribute
    {
    }
}

namespace Antmicro.Renode.Exceptions
{
    public class RecoverableException : Exception
    {
        public RecoverableException(string message) : base(message)
        {
        }
    }
}

namespace Antmicro.Renode.Logging
{
    public enum LogLevel
    {
        Warning,
        Error,
    }

    public static class Logger
    {
        public static void Log(this IPeripheral element, LogLevel level, string message, params object[] values)
        {
            Lines.Add(String.Format(message, values));
        }

        public static readonly List<string> Lines = new List<string>();
    }
}

namespace Antmicro.Renode.Utilities
{
    public class ReadFilePath
    {
        public ReadFilePath(string path)
        {
            this.path = path;
        }

        public override string ToString()
        {
            return path;
        }

        private readonly string path;
    }

    public class WriteFilePath : ReadFilePath
    {
        public WriteFilePath(string path) : base(path)
        {
        }
    }
}

namespace Antmicro.Renode.Time
{
    public struct TimeInterval
    {
        public static TimeInterval FromMicroseconds(ulong micros)
        {
            return new TimeInterval { Nanos = micros * 1000 };
        }

        public ulong Nanos { get; private set; }

        public double TotalMicroseconds
        {
            get { return Nanos / 1000.0; }
        }
    }

    public struct TimeStamp
    {
        public TimeInterval TimeElapsed;
    }

    public enum WorkMode
    {
        OneShot,
    }

    public enum Direction
    {
        Descending,
    }

    public interface IClockSource
    {
        void Advance(ulong nanos);

        event Action<ulong> Passed;
    }
}

namespace Antmicro.Renode.Core
{
    public interface IMachine
    {
        void RequestReset();

        void Reset();

        void ScheduleAction(TimeInterval delay, Action<TimeInterval> action, string name = null);

        IClockSource ClockSource { get; }

        IBusController SystemBus { get; }

        TimeStamp ElapsedVirtualTime { get; }

        event Action<IMachine> MachineReset;
    }

    public interface IExternal
    {
    }

    public interface IConnectable<T>
    {
        void AttachTo(T element);

        void DetachFrom(T element);
    }

    public class ExternalsManager
    {
        public void AddExternal(IExternal external, string name)
        {
            Externals.Add(name, external);
        }

        public Dictionary<string, IExternal> Externals { get; } = new Dictionary<string, IExternal>();
    }

    public class Emulation
    {
        public void RunFor(TimeInterval interval)
        {
            Machine.Current.Advance(interval.Nanos);
        }

        public ExternalsManager ExternalsManager { get; } = new ExternalsManager();
    }

    public class EmulationManager
    {
        public static EmulationManager Instance { get; } = new EmulationManager();

        public Emulation CurrentEmulation { get; } = new Emulation();
    }

    public struct Range
    {
        public Range(ulong start, ulong size)
        {
            StartAddress = start;
            Size = size;
        }

        public readonly ulong StartAddress;
        public readonly ulong Size;
    }

    public class GPIO
    {
        public void Set(bool value)
        {
            IsSet = value;
        }

        public bool IsSet { get; private set; }
    }

    public static class GPIOExtensions
    {
        public static void Unset(this GPIO line)
        {
            line.Set(false);
        }
    }

    /// <summary>Time passes only by Advance(), in the order in which things are due; resets come at the next Advance().</summary>
    public class Machine : IMachine, IClockSource
    {
        public Machine()
        {
            Bus = new SystemBus();
            Current = this;
        }

        public void Advance(ulong nanos)
        {
            var end = now + nanos;
            TakeReset();
            while(due.Count > 0 && due.Keys[0].Item1 <= end)
            {
                var next = due.Keys[0];
                var action = due.Values[0];
                due.RemoveAt(0);
                PassTo(next.Item1);
                action(TimeInterval.FromMicroseconds(now / 1000));
                TakeReset();
            }
            PassTo(end);
            TakeReset();
        }

        public void ScheduleAction(TimeInterval delay, Action<TimeInterval> action, string name = null)
        {
            due.Add(Tuple.Create(now + delay.Nanos, sequence++), action);
        }

        public void RequestReset()
        {
            resetRequested = true;
        }

        public void Reset()
        {
            resetRequested = false;
            Resets++;
            foreach(var peripheral in Peripherals)
            {
                peripheral.Reset();
            }
            MachineReset?.Invoke(this);
        }

        public event Action<IMachine> MachineReset;

        public int Resets { get; private set; }

        public List<IPeripheral> Peripherals { get; } = new List<IPeripheral>();

        public SystemBus Bus { get; private set; }

        public IClockSource ClockSource
        {
            get { return this; }
        }

        public IBusController SystemBus
        {
            get { return Bus; }
        }

        public TimeStamp ElapsedVirtualTime
        {
            get { return new TimeStamp { TimeElapsed = TimeInterval.FromMicroseconds(now / 1000) }; }
        }

        /// <summary>The one that was made last: each test has but one.</summary>
        public static Machine Current { get; private set; }

        public event Action<ulong> Passed;

        private void PassTo(ulong time)
        {
            // in small steps, so that what counts along ends when it should
            while(now < time)
            {
                var step = Math.Min(time - now, 10000);
                now += step;
                Passed?.Invoke(step);
                TakeReset();
            }
        }

        private void TakeReset()
        {
            if(resetRequested)
            {
                Reset();
            }
        }

        private ulong now;
        private int sequence;
        private bool resetRequested;

        private readonly SortedList<Tuple<ulong, int>, Action<TimeInterval>> due = new SortedList<Tuple<ulong, int>, Action<TimeInterval>>();
    }
}

namespace Antmicro.Renode.Peripherals
{
    public interface IPeripheral
    {
        void Reset();
    }

    public static class PeripheralExtensions
    {
        public static IMachine GetMachine(this IPeripheral peripheral)
        {
            return Machine.Current;
        }
    }

    public interface IBusPeripheral : IPeripheral
    {
    }

    public interface IKnownSize : IBusPeripheral
    {
        long Size { get; }
    }
}

namespace Antmicro.Renode.Peripherals.Bus
{
    public interface IBytePeripheral : IBusPeripheral
    {
        byte ReadByte(long offset);

        void WriteByte(long offset, byte value);
    }

    public interface IWordPeripheral : IBusPeripheral
    {
        ushort ReadWord(long offset);

        void WriteWord(long offset, ushort value);
    }

    public interface IDoubleWordPeripheral : IBusPeripheral
    {
        uint ReadDoubleWord(long offset);

        void WriteDoubleWord(long offset, uint value);
    }

    public interface IBusController
    {
        byte[] ReadBytes(ulong address, int count, bool onlyMemory = false, IPeripheral context = null);

        bool TryGetCurrentCPU(out ICPU cpu);

        void SetAddressRangeLocked(Range range, bool locked, IPeripheral context = null);
    }

    public class SystemBus : IBusController
    {
        /// <summary>Memory begins at 0; there is none by itself.</summary>
        public byte[] ReadBytes(ulong address, int count, bool onlyMemory = false, IPeripheral context = null)
        {
            var part = new byte[count];
            Array.Copy(Memory, (int)address, part, 0, count);
            return part;
        }

        public byte[] Memory { get; set; } = new byte[0];

        public bool TryGetCurrentCPU(out ICPU cpu)
        {
            cpu = null;
            return CoreIsAccessing;
        }

        public void SetAddressRangeLocked(Range range, bool locked, IPeripheral context = null)
        {
            Locked = locked ? range : default(Range);
        }

        /// <summary>Whether accesses are the core's (else the monitor's).</summary>
        public bool CoreIsAccessing { get; set; } = true;

        public Range Locked { get; private set; }
    }
}

namespace Antmicro.Renode.Peripherals.CPU
{
    public enum HaltReason
    {
        Abort,
        Pause,
    }

    public class HaltArguments
    {
        public HaltArguments(HaltReason reason)
        {
            Reason = reason;
        }

        public HaltReason Reason { get; private set; }
    }

    public interface ICPU : IPeripheral
    {
        bool IsHalted { get; set; }

        event Action<HaltArguments> Halted;
    }

    public class CortexM : ICPU
    {
        public void Reset()
        {
            VectorTableOffset = 0;
        }

        public void Halt(HaltReason reason)
        {
            Halted?.Invoke(new HaltArguments(reason));
        }

        public bool IsHalted { get; set; }

        public uint VectorTableOffset { get; set; }

        public event Action<HaltArguments> Halted;
    }
}

namespace Antmicro.Renode.Peripherals.IRQControllers
{
    public class NVIC
    {
        public void SetPendingIRQ(int number)
        {
            Pending.Add(number);
        }

        public List<int> Pending { get; } = new List<int>();
    }
}

namespace Antmicro.Renode.Peripherals.Memory
{
    public class MappedMemory
    {
        public MappedMemory(int size)
        {
            bytes = new byte[size];
        }

        public void WriteBytes(long offset, byte[] value)
        {
            value.CopyTo(bytes, (int)offset);
        }

        public byte[] ReadBytes(long offset, int count, IPeripheral context = null)
        {
            var part = new byte[count];
            Array.Copy(bytes, (int)offset, part, 0, count);
            return part;
        }

        public long Size
        {
            get { return bytes.Length; }
        }

        private readonly byte[] bytes;
    }
}

namespace Antmicro.Renode.Peripherals.UART
{
    public interface IUART : IPeripheral
    {
        event Action<byte> CharReceived;

        void WriteChar(byte value);

        uint BaudRate { get; }

        Bits StopBits { get; }

        Parity ParityBit { get; }
    }

    public enum Parity
    {
        None,
    }

    public enum Bits
    {
        One,
    }
}

namespace Antmicro.Renode.Peripherals.Timers
{
    /// <summary>Counts down once, as the only model that uses it wants.</summary>
    public class LimitTimer
    {
        public LimitTimer(IClockSource clockSource, ulong frequency, IPeripheral owner, string localName, ulong limit = UInt64.MaxValue,
            Direction direction = Direction.Descending, bool enabled = false, WorkMode workMode = WorkMode.OneShot, bool eventEnabled = false,
            bool autoUpdate = false, ulong divider = 1)
        {
            if(direction != Direction.Descending || workMode != WorkMode.OneShot || enabled || !eventEnabled || !autoUpdate)
            {
                throw new ArgumentException("this bench's timer counts down, once, and tells");
            }
            this.frequency = frequency;
            initialLimit = limit;
            initialDivider = divider;
            clockSource.Passed += Pass;
            Reset();
        }

        public void Reset()
        {
            Enabled = false;
            Divider = initialDivider;
            Limit = initialLimit;
        }

        public bool Enabled { get; set; }

        public ulong Divider { get; set; }

        public ulong Limit
        {
            set { left = value; }
        }

        public event Action LimitReached;

        private void Pass(ulong nanos)
        {
            if(!Enabled)
            {
                return;
            }
            left -= nanos * 1e-9 * (frequency / Divider);
            if(left <= 0)
            {
                Enabled = false;
                LimitReached?.Invoke();
            }
        }

        private double left;

        private readonly ulong frequency;
        private readonly ulong initialLimit;
        private readonly ulong initialDivider;
    }
}
