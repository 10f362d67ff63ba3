using Antmicro.Renode.Exceptions;

/// <summary>What the process sees: ADC and PWM.</summary>
public static class ChannelTests
{
    public static void Run()
    {
        Converting();
        Modulating();
    }

    private static void Converting()
    {
        Check.Test("adc: regulator, calibration and enable in this order make it ready", () =>
        {
            var board = new Board();
            Check.Equal(board.Adc.ReadDoubleWord(Control), DeepPowerDown, "ADC_CR after a reset");
            Ready(board);
            Check.Equal(board.Adc.ReadDoubleWord(Status) & 1, 1u, "ADRDY");
            Check.Equal(board.Adc.ReadDoubleWord(Control), Regulator | Enable, "ADC_CR");
        });
        Check.Test("adc: no calibration in deep power-down or without the regulator, no enable without calibration", () =>
        {
            foreach(var power in new[] { DeepPowerDown | Regulator, 0u })
            {
                var board = new Board();
                board.Adc.WriteDoubleWord(Control, power);
                board.Adc.WriteDoubleWord(Control, power | Calibrate);
                board.Adc.WriteDoubleWord(Control, power | Enable);
                Check.Equal(board.Adc.ReadDoubleWord(Status), 0u, "ADC_ISR");
            }
            foreach(var power in new[] { DeepPowerDown | Regulator, 0u })
            {
                var board = new Board();
                board.Adc.WriteDoubleWord(Control, power);
                board.Adc.WriteDoubleWord(Control, power | Calibrate);
                board.Adc.WriteDoubleWord(Control, Regulator);
                board.Adc.WriteDoubleWord(Control, Regulator | Enable);
                Check.Equal(board.Adc.ReadDoubleWord(Status), 0u, "ADC_ISR when the power comes after the calibration");
            }
            var uncalibrated = new Board();
            uncalibrated.Adc.WriteDoubleWord(Control, Regulator);
            uncalibrated.Adc.WriteDoubleWord(Control, Regulator | Enable);
            Check.Equal(uncalibrated.Adc.ReadDoubleWord(Status), 0u, "ADC_ISR without calibration");
        });
        Check.Test("adc: a broken one never ends its calibration", () =>
        {
            var board = new Board();
            board.Adc.Works = false;
            board.Adc.WriteDoubleWord(Control, Regulator);
            board.Adc.WriteDoubleWord(Control, Regulator | Calibrate);
            Check.Equal(board.Adc.ReadDoubleWord(Control) & Calibrate, Calibrate, "ADCAL");
        });
        Check.Test("adc: a conversion gives the voltage at the chosen input, in 4095ths of 3.3 V", () =>
        {
            var board = new Board();
            Ready(board);
            board.Adc.SetVoltage(5, 3.3);
            board.Adc.SetVoltage(6, 1.65);
            board.Adc.SetVoltage(8, 0.1);
            Check.Equal(Convert(board, 5), 4095u, "3.3 V");
            Check.Equal(Convert(board, 6), 2048u, "1.65 V");
            Check.Equal(Convert(board, 7), 0u, "nothing");
            Check.Equal(Convert(board, 8), 124u, "0.1 V");
            Check.Equal(board.Adc.Voltage(6), 1.65, "what a test reads back");
        });
        Check.Test("adc: voltages outside the range end at its limits", () =>
        {
            var board = new Board();
            Ready(board);
            board.Adc.SetVoltage(5, 5);
            board.Adc.SetVoltage(6, -1);
            Check.Equal(Convert(board, 5), 4095u, "5 V");
            Check.Equal(Convert(board, 6), 0u, "-1 V");
            Check.Throws<RecoverableException>(() => board.Adc.SetVoltage(19, 1), "input 19");
        });
        Check.Test("adc: EOC comes with a conversion and goes with the reading of its data", () =>
        {
            var board = new Board();
            Ready(board);
            Check.Equal(board.Adc.ReadDoubleWord(Status) & 4, 0u, "EOC before");
            board.Adc.WriteDoubleWord(Sequence, 5 << 6);
            board.Adc.WriteDoubleWord(Control, Regulator | Enable | StartConversion);
            Check.Equal(board.Adc.ReadDoubleWord(Status) & 4, 4u, "EOC");
            Check.Equal(board.Adc.ReadDoubleWord(Control) & StartConversion, 0u, "ADSTART");
            board.Adc.ReadDoubleWord(Data);
            Check.Equal(board.Adc.ReadDoubleWord(Status) & 4, 0u, "EOC after");
        });
        Check.Test("adc: a sequence converts one input after the other as they are read", () =>
        {
            var board = new Board();
            Ready(board);
            for(var input = 5; input <= 9; input++)
            {
                board.Adc.SetVoltage(input, 3.3 * input / 4095);
            }
            board.Adc.WriteDoubleWord(Sequence, 4 | 5 << 6 | 6 << 12 | 7 << 18 | 8 << 24);
            board.Adc.WriteDoubleWord(Sequence + 4, 9);
            board.Adc.WriteDoubleWord(Control, Regulator | Enable | StartConversion);
            for(var input = 5u; input <= 9; input++)
            {
                Check.Equal(board.Adc.ReadDoubleWord(Status) & 8, input == 9 ? 8u : 0u, "EOS");
                Check.Equal(board.Adc.ReadDoubleWord(Data), input, "what is read");
            }
            Check.Equal(board.Adc.ReadDoubleWord(Status) & 4, 0u, "EOC in the end");
        });
        Check.Test("adc: nothing is converted while it isn't ready", () =>
        {
            var board = new Board();
            board.Adc.SetVoltage(5, 3.3);
            Check.Equal(Convert(board, 5), 0u, "data");
            Check.Equal(board.Adc.ReadDoubleWord(Status), 0u, "ADC_ISR");
        });
        Check.Test("adc: the voltages outlive a reset, its state doesn't", () =>
        {
            var board = new Board();
            Ready(board);
            board.Adc.SetVoltage(5, 3.3);
            board.Machine.Reset();
            Check.Equal(board.Adc.ReadDoubleWord(Control), DeepPowerDown, "ADC_CR");
            Ready(board);
            Check.Equal(Convert(board, 5), 4095u, "3.3 V");
        });
    }

    private static void Ready(Board board)
    {
        board.Adc.WriteDoubleWord(Control, 0);
        board.Adc.WriteDoubleWord(Control, Regulator);
        board.Adc.WriteDoubleWord(Control, Regulator | Calibrate);
        Check.Equal(board.Adc.ReadDoubleWord(Control) & Calibrate, 0u, "ADCAL");
        board.Adc.WriteDoubleWord(Status, 1);
        board.Adc.WriteDoubleWord(Control, Regulator | Enable);
    }

    private static uint Convert(Board board, uint input)
    {
        board.Adc.WriteDoubleWord(Sequence, input << 6);
        board.Adc.WriteDoubleWord(Control, board.Adc.ReadDoubleWord(Control) | StartConversion);
        return board.Adc.ReadDoubleWord(Data);
    }

    private const long Status = 0x00;
    private const long Control = 0x08;
    private const long Sequence = 0x30;
    private const long Data = 0x40;
    private const uint Enable = 1u << 0;
    private const uint StartConversion = 1u << 2;
    private const uint Regulator = 1u << 28;
    private const uint DeepPowerDown = 1u << 29;
    private const uint Calibrate = 1u << 31;

    private static void Modulating()
    {
        Check.Test("pwm: nothing comes out before it is set up", () =>
        {
            Check.Equal(new Board().Pwm.Duties, "0 0 0 0", "duties");
        });
        Check.Test("pwm: compare values show as percent of the period", () =>
        {
            var board = SetUp();
            Compare(board, 1, 2750);
            Compare(board, 2, 11000);
            Compare(board, 3, 1);
            Compare(board, 4, 20000);
            Check.Equal(board.Pwm.Duties, "25 100 0.0091 100", "duties");
            Check.Equal(board.Pwm.Duty(1), 25.0, "one of them");
        });
        Check.Test("pwm: held back by UDIS, all channels change together", () =>
        {
            var board = SetUp();
            Compare(board, 1, 1100);
            board.Pwm.WriteDoubleWord(Control1, Cen | Udis | Arpe);
            Compare(board, 1, 5500);
            Compare(board, 2, 2200);
            Check.Equal(board.Pwm.Duties, "10 0 0 0", "duties while UDIS is set");
            board.Pwm.WriteDoubleWord(Control1, Cen | Arpe);
            Check.Equal(board.Pwm.Duties, "50 20 0 0", "duties afterwards");
        });
        Check.Test("pwm: without preload a value holds at once, UDIS or not", () =>
        {
            var board = SetUp();
            board.Pwm.WriteDoubleWord(Mode1, 0x6860);
            board.Pwm.WriteDoubleWord(Control1, Cen | Udis | Arpe);
            Compare(board, 1, 5500);
            Compare(board, 2, 5500);
            Check.Equal(board.Pwm.Duties, "50 0 0 0", "duties");
        });
        Check.Test("pwm: UG takes preloaded values over, but not against UDIS", () =>
        {
            var board = new Board();
            board.Pwm.WriteDoubleWord(Mode1, 0x6868);
            board.Pwm.WriteDoubleWord(Enables, 0x1111);
            board.Pwm.WriteDoubleWord(AutoReload, 999);
            board.Pwm.WriteDoubleWord(Control1, Udis | Arpe);
            Compare(board, 1, 500);
            board.Pwm.WriteDoubleWord(Events, 1);
            board.Pwm.WriteDoubleWord(Control1, Cen | Udis | Arpe);
            Check.Equal(board.Pwm.Duty(1), 0.0, "with UDIS");
            board.Pwm.WriteDoubleWord(Control1, Arpe);
            board.Pwm.WriteDoubleWord(Events, 1);
            board.Pwm.WriteDoubleWord(Control1, Cen | Udis | Arpe);
            Check.Equal(board.Pwm.Duty(1), 50.0, "without");
        });
        Check.Test("pwm: a channel that is off, or in another mode, puts out nothing", () =>
        {
            var board = SetUp();
            Compare(board, 1, 5500);
            Compare(board, 2, 5500);
            Compare(board, 3, 5500);
            board.Pwm.WriteDoubleWord(Enables, 0x1101);
            board.Pwm.WriteDoubleWord(Mode2, 0x6818);
            Check.Equal(board.Pwm.Duties, "50 0 0 0", "duties");
            Check.Throws<RecoverableException>(() => board.Pwm.Duty(5), "channel 5");
            Check.Throws<RecoverableException>(() => board.Pwm.Duty(0), "channel 0");
        });
        Check.Test("pwm: a reset switches all channels off", () =>
        {
            var board = SetUp();
            Compare(board, 1, 5500);
            board.Machine.Reset();
            Check.Equal(board.Pwm.Duties, "0 0 0 0", "duties");
            Check.Equal(board.Pwm.ReadDoubleWord(AutoReload), 0xFFFFu, "ARR");
        });
    }

    /// <summary>As the firmware does: 10 kHz at 110 MHz, mode 1 with preload.</summary>
    private static Board SetUp()
    {
        var board = new Board();
        board.Pwm.WriteDoubleWord(AutoReload, 10999);
        board.Pwm.WriteDoubleWord(Mode1, 0x6868);
        board.Pwm.WriteDoubleWord(Mode2, 0x6868);
        board.Pwm.WriteDoubleWord(Enables, 0x1111);
        board.Pwm.WriteDoubleWord(Events, 1);
        board.Pwm.WriteDoubleWord(Control1, Cen | Arpe);
        return board;
    }

    private static void Compare(Board board, int channel, uint value)
    {
        board.Pwm.WriteDoubleWord(0x30 + 4 * channel, value);
    }

    private const long Control1 = 0x00;
    private const long Events = 0x14;
    private const long Mode1 = 0x18;
    private const long Mode2 = 0x1C;
    private const long Enables = 0x20;
    private const long AutoReload = 0x2C;
    private const uint Cen = 1u << 0;
    private const uint Udis = 1u << 1;
    private const uint Arpe = 1u << 7;
}
