using Antmicro.Renode.Core;
using Antmicro.Renode.Peripherals.Bus;
using Antmicro.Renode.Peripherals.Miscellaneous;
using Antmicro.Renode.Time;

namespace Antmicro.Renode.Peripherals.Timers
{
    /// <summary>
    /// RM0438, "Independent watchdog (IWDG)": runs from LSI, can't be stopped once started, and its registers take over what is written only
    /// some LSI cycles later (SR tells). A reset that it causes is announced to RCC first.
    /// </summary>
    public class STM32L5_IWDG : IDoubleWordPeripheral, IKnownSize
    {
        public STM32L5_IWDG(IMachine machine, STM32L5_RCC rcc, ulong frequency = 32000)
        {
            this.machine = machine;
            this.rcc = rcc;
            updateMicros = UpdateCycles * 1000000 / frequency;
            countdown = new LimitTimer(machine.ClockSource, frequency, this, "countdown", LargestReload + 1, workMode: WorkMode.OneShot,
                eventEnabled: true, autoUpdate: true, divider: SmallestDivider);
            countdown.LimitReached += TimeOut;
            SetResetValues();
        }

        public void Reset()
        {
            countdown.Reset();
            SetResetValues();
        }

        public uint ReadDoubleWord(long offset)
        {
            switch(offset)
            {
            case PrescalerRegister:
                return prescaler;
            case ReloadRegister:
                return reload;
            case StatusRegister:
                return updating;
            case WindowRegister:
                return LargestReload;
            default:
                return 0;
            }
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            switch(offset)
            {
            case KeyRegister:
                TakeKey(value & 0xFFFF);
                return;
            case PrescalerRegister:
                if(unlocked && (updating & PrescalerUpdating) == 0)
                {
                    prescaler = value & 7;
                    Update(PrescalerUpdating);
                }
                return;
            case ReloadRegister:
                if(unlocked && (updating & ReloadUpdating) == 0)
                {
                    reload = value & LargestReload;
                    Update(ReloadUpdating);
                }
                return;
            }
        }

        public long Size
        {
            get { return 0x400; }
        }

        /// <summary>Whether it counts; only a reset ends that.</summary>
        public bool Started { get; private set; }

        /// <summary>False: it runs out without a reset. For a debugger that holds the core for long.</summary>
        public bool Armed { get; set; } = true;

        private void TimeOut()
        {
            if(Armed)
            {
                rcc.RequestReset("watchdog", STM32L5_RCC.WatchdogFlag);
            }
        }

        private void TakeKey(uint key)
        {
            unlocked = key == UnlockKey;
            if(key == StartKey && !Started)
            {
                Started = true;
                countdown.Enabled = true;
                if(updating != 0)
                {
                    ScheduleUpdate(updating);
                }
            }
            else if(key == ReloadKey && Started)
            {
                countdown.Limit = effectiveReload + 1;
            }
        }

        /// <summary>Without LSI, which runs once the watchdog does, nothing is ever taken over.</summary>
        private void Update(uint what)
        {
            updating |= what;
            if(Started)
            {
                ScheduleUpdate(what);
            }
        }

        private void ScheduleUpdate(uint what)
        {
            var generation = generations;
            machine.ScheduleAction(TimeInterval.FromMicroseconds(updateMicros), _ =>
            {
                if(generation == generations)
                {
                    TakeOver(what);
                }
            });
        }

        private void TakeOver(uint what)
        {
            updating &= ~what;
            if((what & PrescalerUpdating) != 0)
            {
                countdown.Divider = SmallestDivider << (int)(prescaler < LargestPrescaler ? prescaler : LargestPrescaler);
            }
            if((what & ReloadUpdating) != 0)
            {
                effectiveReload = reload;
            }
        }

        private void SetResetValues()
        {
            generations++;
            Started = false;
            unlocked = false;
            updating = 0;
            prescaler = 0;
            reload = LargestReload;
            effectiveReload = LargestReload;
        }

        private bool unlocked;
        private uint updating;
        private uint prescaler;
        private uint reload;
        private uint effectiveReload;
        private int generations;

        private readonly IMachine machine;
        private readonly STM32L5_RCC rcc;
        private readonly LimitTimer countdown;
        private readonly ulong updateMicros;

        private const long KeyRegister = 0x00;
        private const long PrescalerRegister = 0x04;
        private const long ReloadRegister = 0x08;
        private const long StatusRegister = 0x0C;
        private const long WindowRegister = 0x10;

        private const uint StartKey = 0xCCCC;
        private const uint UnlockKey = 0x5555;
        private const uint ReloadKey = 0xAAAA;

        // SR
        private const uint PrescalerUpdating = 1u << 0;
        private const uint ReloadUpdating = 1u << 1;

        private const uint LargestReload = 0xFFF;
        private const ulong SmallestDivider = 4;
        private const uint LargestPrescaler = 6;
        private const ulong UpdateCycles = 5;
    }
}
