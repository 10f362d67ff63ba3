/** The boards behind a gateway, as lines and objects of `edgeplug devices`. */
import { edgeplug } from "../generated/messages.js";
import type { GatewayAddress } from "../gateway/client/address.js";
import { GatewayClient } from "../gateway/client/gateway-client.js";
import type { GatewayOptions } from "../gateway/client/options.js";
import type { Received } from "../gateway/wire.js";
import { boardClassName, slotStateName, toSlotInfo, type SlotInfo } from "../session/messages.js";
import { agentRecord, agentText, lockText, type BoardRow } from "./device-table.js";

import v1 = edgeplug.gateway.v1;

type Device = Received<v1.Device.$Properties>;

export interface ListOptions {
  includeAbsent: boolean;
  signal: AbortSignal;
}

/** Throws what GatewayClient.connect() and the call do. */
export async function gatewayBoards(
  address: GatewayAddress,
  gateway: GatewayOptions,
  { includeAbsent, signal }: ListOptions,
): Promise<[BoardRow, object][]> {
  const client = await GatewayClient.connect(address, { ...gateway, signal });
  try {
    const { devices } = await client.call("listDevices", { includeAbsent }, { signal });
    return devices
      .filter(({ id, port }) => id.startsWith(address.board.toLowerCase()) || port === address.board)
      .map((device) => [row(device), record(device, address)]);
  } finally {
    client.close();
  }
}

function row(device: Device): BoardRow {
  const active = agentOf(device);
  const { id, boardClass, locked, port } = device;
  const queue = device.queued === 0 ? "" : `, ${device.queued} waiting`;
  return [
    id,
    boardClassName(boardClass),
    agentText(active),
    `${stateText(device)}${queue}`,
    lockText(locked),
    port,
  ];
}

function record(device: Device, address: GatewayAddress): object {
  const { id, boardClass, runtimeVersion, locked, port, queued, problem, seenMs } = device;
  return {
    event: "board",
    id,
    boardClass: boardClassName(boardClass),
    runtimeVersion,
    agent: agentRecord(agentOf(device)),
    state: stateText(device),
    locked,
    port,
    description: `behind the gateway ${address.gateway}`,
    queued,
    problem: problem === "" ? null : problem,
    seen: new Date(Number(seenMs)).toISOString(),
  };
}

function agentOf(device: Device): SlotInfo | null {
  return device.active === null ? null : toSlotInfo(device.active);
}

function stateText(device: Device): string {
  switch (device.state) {
    case v1.DeviceState.DEVICE_STATE_ABSENT:
      return "absent";
    case v1.DeviceState.DEVICE_STATE_BUSY:
      return "busy";
    default:
      return device.active === null ? "safe mode" : slotStateName(device.active.state);
  }
}
