using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;

using Antmicro.Renode.Core;
using Antmicro.Renode.Peripherals.Analog;
using Antmicro.Renode.Peripherals.CPU;
using Antmicro.Renode.Peripherals.IRQControllers;
using Antmicro.Renode.Peripherals.Memory;
using Antmicro.Renode.Peripherals.Miscellaneous;
using Antmicro.Renode.Peripherals.MTD;
using Antmicro.Renode.Peripherals.Timers;
using Antmicro.Renode.Peripherals.UART;
using Antmicro.Renode.Utilities;

/// <summary>The board as stm32l552.repl puts it together, and the steps of a well-behaved flash driver.</summary>
public class Board
{
    public Board()
    {
        Machine = new Machine();
        Core = new CortexM();
        Nvic = new NVIC();
        Sram = new MappedMemory(0x40000);
        Runtime = new MappedMemory(0x10000);
        Events = new BoardEvents();
        Events.CharReceived += value => told += (char)value;
        Rcc = new STM32L5_RCC(Machine, Core, Sram, Events);
        Pwr = new STM32L5_PWR();
        Flash = new STM32L5_FlashController(Machine, Core, Nvic, Rcc, Events, Runtime, 0x7000);
        Slots = new STM32L5_FlashArea(Flash, 0, 0x7000);
        Journal = new STM32L5_FlashArea(Flash, 0x17000, 0x29000);
        Watchdog = new STM32L5_IWDG(Machine, Rcc);
        Adc = new STM32L5_ADC();
        Pwm = new STM32L5_PWM();
        Trace = new ITM_Trace();
        Machine.Peripherals.AddRange(new Antmicro.Renode.Peripherals.IPeripheral[]
            { Core, Rcc, Pwr, Flash, Slots, Journal, Watchdog, Adc, Pwm, Trace, Events });
    }

    // ---- registers by name -------------------------------------------------------------------------

    public uint Status
    {
        get { return Flash.ReadDoubleWord(0x20); }
        set { Flash.WriteDoubleWord(0x20, value); }
    }

    public uint Control
    {
        get { return Flash.ReadDoubleWord(0x28); }
        set { Flash.WriteDoubleWord(0x28, value); }
    }

    public uint Ecc
    {
        get { return Flash.ReadDoubleWord(0x30); }
        set { Flash.WriteDoubleWord(0x30, value); }
    }

    public uint ResetCause
    {
        get { return Rcc.ReadDoubleWord(0x94) & 0xFF000000; }
    }

    // ---- the steps of a driver ---------------------------------------------------------------------

    public void Key(uint key)
    {
        Flash.WriteDoubleWord(0x08, key);
    }

    public void Unlock()
    {
        Key(Key1);
        Key(Key2);
    }

    public void StartErase(int page)
    {
        Unlock();
        Control = Per | (uint)page << 3 | Eopie | Errie;
        Control = Control | Strt;
    }

    /// <summary>Status at the end; everything is cleared and locked again.</summary>
    public uint Erase(int page)
    {
        StartErase(page);
        return Finish(EraseMicros);
    }

    public void StartProgram(uint address, ulong data)
    {
        Unlock();
        Control = Pg | Eopie | Errie;
        Write(address, (uint)data);
        Write(address + 4, (uint)(data >> 32));
    }

    public uint Program(uint address, ulong data)
    {
        StartProgram(address, data);
        return Finish(ProgramMicros);
    }

    public uint Finish(ulong micros)
    {
        Pass(micros);
        var status = Status;
        Status = status;
        Control = Lock;
        return status;
    }

    public void Write(uint address, uint value)
    {
        AreaOf(address).WriteDoubleWord(OffsetIn(address), value);
    }

    public uint Read(uint address)
    {
        return AreaOf(address).ReadDoubleWord(OffsetIn(address));
    }

    public ulong ReadUnit(uint address)
    {
        return Read(address) | (ulong)Read(address + 4) << 32;
    }

    /// <summary>As the monitor sees it.</summary>
    public ulong PeekUnit(uint address)
    {
        Machine.Bus.CoreIsAccessing = false;
        var value = ReadUnit(address);
        Machine.Bus.CoreIsAccessing = true;
        return value;
    }

    public void Poke(uint address, uint value)
    {
        Machine.Bus.CoreIsAccessing = false;
        Write(address, value);
        Machine.Bus.CoreIsAccessing = true;
    }

    public void Pass(ulong micros)
    {
        Machine.Advance(micros * 1000);
    }

    // ---- what the world sees -----------------------------------------------------------------------

    public string[] Told
    {
        get { return told.Split(new[] { '\n' }, StringSplitOptions.RemoveEmptyEntries); }
    }

    public IEnumerable<string> ToldOf(string word)
    {
        return Told.Where(line => line.StartsWith(word, StringComparison.Ordinal));
    }

    /// <summary>A board with the same flash, by way of files.</summary>
    public Board Copy()
    {
        var path = Path.GetTempFileName();
        try
        {
            Flash.SaveImage(new WriteFilePath(path));
            var copy = new Board();
            copy.Flash.LoadImage(new ReadFilePath(path));
            return copy;
        }
        finally
        {
            File.Delete(path);
            File.Delete(path + ".units");
        }
    }

    public readonly Machine Machine;
    public readonly CortexM Core;
    public readonly NVIC Nvic;
    public readonly MappedMemory Sram;
    public readonly MappedMemory Runtime;
    public readonly BoardEvents Events;
    public readonly STM32L5_RCC Rcc;
    public readonly STM32L5_PWR Pwr;
    public readonly STM32L5_FlashController Flash;
    public readonly STM32L5_FlashArea Slots;
    public readonly STM32L5_FlashArea Journal;
    public readonly STM32L5_IWDG Watchdog;
    public readonly STM32L5_ADC Adc;
    public readonly STM32L5_PWM Pwm;
    public readonly ITM_Trace Trace;

    public const uint Key1 = 0x45670123;
    public const uint Key2 = 0xCDEF89AB;

    public const uint Pg = 1u << 0;
    public const uint Per = 1u << 1;
    public const uint Mer1 = 1u << 2;
    public const uint Bker = 1u << 11;
    public const uint Strt = 1u << 16;
    public const uint Eopie = 1u << 24;
    public const uint Errie = 1u << 25;
    public const uint Lock = 1u << 31;

    public const uint Eop = 1u << 0;
    public const uint Operr = 1u << 1;
    public const uint Progerr = 1u << 3;
    public const uint Wrperr = 1u << 4;
    public const uint Pgaerr = 1u << 5;
    public const uint Sizerr = 1u << 6;
    public const uint Pgserr = 1u << 7;
    public const uint Bsy = 1u << 16;

    public const ulong EraseMicros = 22000;
    public const ulong ProgramMicros = 82;
    public const ulong Blank = UInt64.MaxValue;

    private STM32L5_FlashArea AreaOf(uint address)
    {
        return address < 0x08017000 ? Slots : Journal;
    }

    private static long OffsetIn(uint address)
    {
        return address < 0x08017000 ? address - 0x08000000 : address - 0x08017000;
    }

    private string told = "";
}
