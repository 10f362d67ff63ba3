using System;

using Antmicro.Renode.Exceptions;
using Antmicro.Renode.Peripherals.Bus;

namespace Antmicro.Renode.Peripherals.Analog
{
    /// <summary>
    /// RM0438, "Analog-to-digital converters (ADC)": power-up, calibration, and single conversions of a regular sequence at 12 bits, against
    /// voltages that a test sets. A conversion takes no time. What the manual's order of steps forbids has no effect.
    /// </summary>
    public class STM32L5_ADC : IDoubleWordPeripheral, IKnownSize
    {
        public STM32L5_ADC(double reference = 3.3)
        {
            this.reference = reference;
            Reset();
        }

        public void Reset()
        {
            Array.Clear(registers, 0, registers.Length);
            control = DeepPowerDown;
            status = 0;
            data = 0;
            rank = 0;
            calibrated = false;
        }

        public uint ReadDoubleWord(long offset)
        {
            switch(offset)
            {
            case StatusRegister:
                return status;
            case ControlRegister:
                return control;
            case DataRegister:
                return TakeData();
            default:
                return offset < Size ? registers[offset / 4] : 0;
            }
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            switch(offset)
            {
            case StatusRegister:
                status &= ~value;
                return;
            case ControlRegister:
                WriteControl(value);
                return;
            }
            if(offset < Size)
            {
                registers[offset / 4] = value;
            }
        }

        /// <summary>The voltage at an input of ADC1, 1 to 16, as it stands until it is set anew.</summary>
        public void SetVoltage(int channel, double volts)
        {
            if(channel < 0 || channel >= voltages.Length)
            {
                throw new RecoverableException("ADC1 has the inputs 0 to 18");
            }
            voltages[channel] = volts;
        }

        public double Voltage(int channel)
        {
            return voltages[channel];
        }

        /// <summary>False: the converter never becomes ready, as a broken one.</summary>
        public bool Works { get; set; } = true;

        public long Size
        {
            get { return 0x400; }
        }

        private void WriteControl(uint value)
        {
            // ADC_CR's command bits are set by software and cleared by the converter
            control = (control & Enable) | (value & (DeepPowerDown | Regulator));
            var powered = (control & (DeepPowerDown | Regulator)) == Regulator;
            if(!powered)
            {
                control &= ~Enable;
            }
            if((value & Calibrate) != 0 && powered && (control & Enable) == 0)
            {
                calibrated = Works;
                control |= Works ? 0 : Calibrate;
            }
            if((value & Disable) != 0)
            {
                control &= ~Enable;
                status &= ~Ready;
            }
            else if((value & Enable) != 0 && powered && calibrated)
            {
                control |= Enable;
                status |= Ready;
            }
            if((value & StartConversion) != 0 && (control & Enable) != 0)
            {
                rank = 0;
                Convert();
            }
        }

        private void Convert()
        {
            var volts = voltages[ChannelAt(rank)];
            var code = Math.Round(volts / reference * FullScale);
            data = (uint)Math.Max(0, Math.Min(FullScale, code));
            status |= EndOfConversion | (rank == SequenceLength - 1 ? EndOfSequence : 0);
        }

        /// <summary>Reading ADC_DR clears EOC and lets the next conversion of the sequence begin.</summary>
        private uint TakeData()
        {
            var taken = data;
            if((status & EndOfConversion) != 0)
            {
                status &= ~EndOfConversion;
                if(++rank < SequenceLength)
                {
                    Convert();
                }
            }
            return taken;
        }

        private int SequenceLength
        {
            get { return (int)(registers[SequenceRegister / 4] & 0xF) + 1; }
        }

        /// <summary>SQR1 holds four ranks above the length, the others five each, six bits apart.</summary>
        private int ChannelAt(int position)
        {
            var place = position + 1;
            var channel = (int)(registers[SequenceRegister / 4 + place / 5] >> (6 * (place % 5))) & 0x1F;
            return channel < voltages.Length ? channel : 0;
        }

        private uint status;
        private uint control;
        private uint data;
        private int rank;
        private bool calibrated;

        private readonly double reference;
        private readonly double[] voltages = new double[19];
        private readonly uint[] registers = new uint[0x400 / 4];

        private const long StatusRegister = 0x00;
        private const long ControlRegister = 0x08;
        private const long SequenceRegister = 0x30;
        private const long DataRegister = 0x40;

        private const uint Ready = 1u << 0;
        private const uint EndOfConversion = 1u << 2;
        private const uint EndOfSequence = 1u << 3;

        private const uint Enable = 1u << 0;
        private const uint Disable = 1u << 1;
        private const uint StartConversion = 1u << 2;
        private const uint Regulator = 1u << 28;
        private const uint DeepPowerDown = 1u << 29;
        private const uint Calibrate = 1u << 31;

        private const double FullScale = 4095;
    }
}
