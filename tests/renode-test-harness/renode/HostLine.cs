// The far end of a board's serial line, for a program that drives Renode's time: what the board sends is appended to a file,
// what the program sends arrives at the line's own speed in virtual time.
using System;
using System.Collections.Generic;
using System.IO;

using Antmicro.Renode.Core;
using Antmicro.Renode.Exceptions;
using Antmicro.Renode.Peripherals;
using Antmicro.Renode.Peripherals.Bus;
using Antmicro.Renode.Peripherals.UART;
using Antmicro.Renode.Time;
using Antmicro.Renode.Utilities;

namespace Antmicro.Renode.Backends.Terminals
{
    public static class HostLineExtensions
    {
        // bytesPerSecond: 11520 for 115200 8N1
        public static void CreateHostLine(this Emulation emulation, string name, uint bytesPerSecond)
        {
            emulation.ExternalsManager.AddExternal(new HostLine(bytesPerSecond), name);
        }
    }

    public static class MemoryFileExtensions
    {
        // Memory as a file: the monitor's own ReadBytes prints each byte, which takes seconds for a hundred thousand.
        public static void SaveMemory(this IBusController bus, ulong address, int size, WriteFilePath path)
        {
            File.WriteAllBytes(path.ToString(), bus.ReadBytes(address, size));
        }
    }

    public class HostLine : IExternal, IConnectable<IUART>
    {
        public HostLine(uint bytesPerSecond)
        {
            if(bytesPerSecond == 0)
            {
                throw new RecoverableException("bytesPerSecond: expected more than 0");
            }
            this.bytesPerSecond = bytesPerSecond;
        }

        public void AttachTo(IUART uart)
        {
            this.uart = uart;
            machine = uart.GetMachine();
            uart.CharReceived += Hear;
        }

        public void DetachFrom(IUART uart)
        {
            uart.CharReceived -= Hear;
            this.uart = null;
            machine = null;
            Clear();
        }

        // Lets time go on, for so many microseconds at most; ends some microseconds after the board has begun to say something, so that
        // whoever wants to answer loses no time of it. Gives the microseconds that have passed.
        public ulong Run(ulong most, ulong after)
        {
            var emulation = EmulationManager.Instance.CurrentEmulation;
            var passed = 0UL;
            var end = most;
            heard = false;
            while(passed < end)
            {
                var step = Math.Min(StepMicros, end - passed);
                emulation.RunFor(TimeInterval.FromMicroseconds(step));
                passed += step;
                if(heard)
                {
                    heard = false;
                    end = Math.Min(end, passed + after);
                }
            }
            return passed;
        }

        // Puts bytes, two hexadecimal digits each, behind those that are still on their way.
        public void Send(string hex)
        {
            lock(waiting)
            {
                for(var i = 0; i + 1 < hex.Length; i += 2)
                {
                    waiting.Enqueue(Convert.ToByte(hex.Substring(i, 2), 16));
                }
                if(!scheduled && waiting.Count > 0)
                {
                    Schedule();
                }
            }
        }

        // What is on its way is lost: the board's power has gone.
        public void Clear()
        {
            lock(waiting)
            {
                waiting.Clear();
                credit = 0;
            }
        }

        // Bytes that have not arrived yet.
        public int Waiting
        {
            get
            {
                lock(waiting)
                {
                    return waiting.Count;
                }
            }
        }

        private void Hear(byte value)
        {
            heard = true;
        }

        private void Schedule()
        {
            scheduled = true;
            machine.ScheduleAction(TimeInterval.FromMicroseconds(IntervalMicros), _ => Deliver(), "host line");
        }

        private void Deliver()
        {
            lock(waiting)
            {
                scheduled = false;
                credit += (ulong)bytesPerSecond * IntervalMicros;
                while(credit >= 1000000 && waiting.Count > 0)
                {
                    credit -= 1000000;
                    uart.WriteChar(waiting.Dequeue());
                }
                if(waiting.Count > 0)
                {
                    Schedule();
                }
                else
                {
                    credit = 0;
                }
            }
        }

        private IUART uart;
        private IMachine machine;
        private bool heard;
        private bool scheduled;
        private ulong credit;

        private readonly uint bytesPerSecond;
        private readonly Queue<byte> waiting = new Queue<byte>();

        private const ulong StepMicros = 1000;
        // Between two deliveries. Credit is counted in millionths of a byte, so that no fraction is lost.
        private const uint IntervalMicros = 500;
    }
}
