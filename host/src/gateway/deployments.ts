/**
 * All deployments: one queue a board, one push a board at a time, all boards beside each other. What was accepted is on
 * disk, and belongs to the gateway until it is over, whoever asked for it.
 */
import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";

import { EdgePlugError } from "../errors.js";
import type { edgeplug } from "../generated/messages.js";
import { readPackage, verifyPackage, type AgentPackage } from "../package.js";
import type { CommandSignature } from "../session/board-session.js";
import type { ShadowOptions } from "../session/push-steps.js";
import { Deployment, viewOf } from "./deployment.js";
import { DeploymentRun, type RunEnd } from "./deployment-run.js";
import type { DeployEvent, DeploymentsStore } from "./deployments-store.js";
import type { Devices } from "./devices.js";
import type { Load } from "./gateway-board.js";
import { pause, settledWithin } from "../pause.js";
import { toDeployResult } from "./wire.js";

type DeploymentView = edgeplug.gateway.v1.Deployment.$Properties;

export interface DeploymentsOptions {
  store: DeploymentsStore;
  /** Deployments that may wait for one board. Default 16. */
  queueLimit?: number | undefined;
  /** How long a board may be absent in the middle of a deployment, milliseconds. Default 300,000. */
  absenceMs?: number | undefined;
  /** How long an operator may take to sign, milliseconds. Default 120,000. */
  signaturePatienceMs?: number | undefined;
  /** Told of each that is over. */
  onEnded?: ((deployment: Deployment, end: { error: EdgePlugError | undefined }) => void) | undefined;
  /** Told when the state can't be written; it is tried again. */
  onStateError?: ((error: EdgePlugError) => void) | undefined;
}

export interface DeployOrder {
  /** Board id in hex. */
  device: string;
  login: string;
  packageBytes: Uint8Array;
  allowDowngrade: boolean;
  timeoutMs: number;
  maySign: boolean;
  /** Default: no shadow run. */
  shadow?: ShadowOptions | undefined;
}

interface BoardQueue {
  running: Deployment | undefined;
  waiting: Deployment[];
}

export const DEFAULT_QUEUE_LIMIT = 16;
const DEFAULT_ABSENCE_MS = 300_000;
const RETRY_SAVE_MS = 2_000;
const CANCEL_PATIENCE_MS = 30_000;
const ID_SIZE = 8;

export class Deployments {
  private readonly queues = new Map<string, BoardQueue>();
  private readonly live = new Map<string, Deployment>();
  /** Over, but not yet on disk as such. */
  private readonly unsaved = new Set<Deployment>();
  private readonly stopped = new AbortController();
  private readonly workers = new Set<Promise<void>>();
  private devices: Devices | undefined;

  constructor(private readonly options: DeploymentsOptions) {
    setMaxListeners(0, this.stopped.signal); // one listener a call that waits
  }

  /** Takes up what an earlier process left, and serves the queues from now on. */
  start(devices: Devices): void {
    this.devices = devices;
    for (const { record, packageBytes } of this.options.store.unfinished()) {
      const deployment = Deployment.restored(record, packageBytes, this.options.signaturePatienceMs);
      this.options.store.save(deployment.record);
      this.enqueue(deployment);
    }
  }

  load(device: string): Load {
    const queue = this.queues.get(device);
    return { busy: queue?.running !== undefined, queued: queue?.waiting.length ?? 0 };
  }

  /** Deployments that wait, on all boards. */
  get waiting(): number {
    return [...this.queues.values()].reduce((sum, queue) => sum + queue.waiting.length, 0);
  }

  /** Deployments that wait or run, on all boards. */
  get unfinished(): number {
    return this.live.size;
  }

  /** Whether a push has a board that it has not yet activated anything on. */
  staging(device: string): Deployment | undefined {
    const running = this.queues.get(device)?.running;
    return running !== undefined && !running.record.events.some((event) => event.activated)
      ? running
      : undefined;
  }

  /** Throws what is wrong with the package, QUEUE_FULL or GATEWAY_STOPPING. */
  check(order: DeployOrder): AgentPackage {
    if (this.stopped.signal.aborted) throw new EdgePlugError("GATEWAY_STOPPING");
    const pkg = readPackage(order.packageBytes);
    verifyPackage(pkg);
    const limit = this.options.queueLimit ?? DEFAULT_QUEUE_LIMIT;
    const waiting = this.queues.get(order.device)?.waiting.length ?? 0;
    if (waiting >= limit) {
      throw new EdgePlugError("QUEUE_FULL", `${waiting} deployments wait for board ${order.device} already.`);
    }
    return pkg;
  }

  /** Takes a package into its board's queue; on disk when it returns. Throws as check() does, and GATEWAY_STATE. */
  accept(order: DeployOrder): Deployment {
    const pkg = this.check(order);
    const { device, login, allowDowngrade, timeoutMs, maySign, shadow, packageBytes } = order;
    const { name, version } = pkg.manifest;
    const id = randomBytes(ID_SIZE).toString("hex");
    const createdMs = Date.now();
    const deployment = Deployment.accepted(
      { id, device, login, name, version, allowDowngrade, timeoutMs, maySign, shadow, createdMs },
      packageBytes,
      this.options.signaturePatienceMs,
    );
    this.options.store.add(deployment.record, packageBytes);
    this.enqueue(deployment);
    return deployment;
  }

  /** Its events behind `after`. Throws DEPLOYMENT_UNKNOWN. */
  watch(id: string, after: number, signal: AbortSignal): AsyncGenerator<DeployEvent, void, void> {
    const held = this.held(id);
    if (held !== undefined) return held.read(after, signal);
    const record = this.options.store.find(id);
    if (record === undefined) throw unknown(id);
    return Deployment.over(record).read(after, signal);
  }

  /** Newest first. */
  list(device: string, limit: number): DeploymentView[] {
    return this.options.store.list(device, limit).map((record) => {
      const held = this.held(record.order.id);
      return held === undefined ? viewOf(record, 0) : held.view(this.position(held));
    });
  }

  find(id: string): DeploymentView {
    const held = this.held(id);
    if (held !== undefined) return held.view(this.position(held));
    const record = this.options.store.find(id);
    if (record === undefined) throw unknown(id);
    return viewOf(record, 0);
  }

  /** Throws DEPLOYMENT_UNKNOWN or GATEWAY_REQUEST. */
  provide(id: string, request: number, signature: CommandSignature): void {
    const live = this.live.get(id);
    if (live === undefined) throw unknown(id);
    live.provide(request, signature);
  }

  /**
   * Ends a deployment: one that waits at once, one that sends before anything is activated, one on trial by going
   * back. Resolves when it is over or half a minute has passed. One that is over stays as it is. Throws
   * DEPLOYMENT_UNKNOWN, GATEWAY_STATE, or why the board doesn't take it back (LOCKED).
   */
  async cancel(id: string, by: string): Promise<DeploymentView> {
    const deployment = this.live.get(id);
    if (deployment === undefined || deployment.isOver) return this.find(id);
    if (deployment.record.cancelledBy !== "") {
      await settledWithin(deployment.ended, CANCEL_PATIENCE_MS, this.stopped.signal);
      return deployment.view(this.position(deployment));
    }
    this.markCancelled(deployment, by);
    const queue = this.queueOf(deployment.record.order.device);
    const at = queue.waiting.indexOf(deployment);
    if (at >= 0 && deployment.record.swapNumber === 0) {
      queue.waiting.splice(at, 1);
      this.finish(deployment, { failed: new EdgePlugError("ABORTED", `Cancelled by ${by}.`) });
      this.tellPositions(queue);
      return deployment.view(0);
    }
    let refusal: EdgePlugError | undefined;
    const refused = new Promise<void>((resolve) => {
      deployment.onCancelRefused = (error) => {
        refusal = error;
        resolve();
      };
    });
    deployment.stopping.abort(new EdgePlugError("ABORTED", `Cancelled by ${by}.`));
    const settled = Promise.race([deployment.ended, refused]);
    await settledWithin(settled, CANCEL_PATIENCE_MS, this.stopped.signal);
    if (refusal !== undefined) throw refusal;
    return deployment.view(this.position(deployment));
  }

  /** No more are accepted; running ones have `graceMs`, then are left as they are. Resolves when none runs. */
  async stop(graceMs: number): Promise<void> {
    this.stopped.abort();
    const running = Promise.all(this.workers);
    await settledWithin(running, graceMs);
    for (const deployment of this.live.values()) {
      deployment.stopping.abort(new EdgePlugError("GATEWAY_STOPPING"));
    }
    await running;
    for (const deployment of [...this.live.values(), ...this.unsaved]) this.trySave(deployment);
  }

  /** One that the disk does not know better: it waits, runs, or is over and could not be written down yet. */
  private held(id: string): Deployment | undefined {
    return this.live.get(id) ?? [...this.unsaved].find((deployment) => deployment.id === id);
  }

  /** On disk when it returns. Throws GATEWAY_STATE: then it goes on as if nobody had asked. */
  private markCancelled({ record }: Deployment, by: string): void {
    record.cancelledBy = by;
    try {
      this.options.store.save(record);
    } catch (error) {
      record.cancelledBy = "";
      throw error;
    }
  }

  // ---- queues ------------------------------------------------------------------------------------

  private queueOf(device: string): BoardQueue {
    let queue = this.queues.get(device);
    if (queue === undefined) this.queues.set(device, (queue = { running: undefined, waiting: [] }));
    return queue;
  }

  private enqueue(deployment: Deployment): void {
    const { device } = deployment.record.order;
    const queue = this.queueOf(device);
    this.live.set(deployment.id, deployment);
    queue.waiting.push(deployment);
    const position = queue.waiting.length;
    deployment.tell({ queued: { position, behind: queue.running?.title ?? "" } });
    if (queue.running !== undefined || position > 1) return;
    const worker = this.serve(device, queue);
    this.workers.add(worker);
    void worker.then(() => this.workers.delete(worker));
  }

  private async serve(device: string, queue: BoardQueue): Promise<void> {
    // What was accepted in the same turn of the event loop stands in the queue first.
    await Promise.resolve();
    for (;;) {
      if (this.stopped.signal.aborted) return;
      const deployment = queue.waiting.shift();
      if (deployment === undefined) break;
      queue.running = deployment;
      this.tellPositions(queue);
      await this.carryOut(deployment);
      queue.running = undefined;
    }
    this.queues.delete(device);
  }

  private async carryOut(deployment: Deployment): Promise<void> {
    const { devices } = this;
    if (devices === undefined) return;
    deployment.begin();
    const absenceMs = this.options.absenceMs ?? DEFAULT_ABSENCE_MS;
    const save = (one: Deployment): void => this.options.store.save(one.record);
    const stopped = this.stopped.signal;
    let end: RunEnd;
    try {
      end = await new DeploymentRun(deployment, { devices, save, absenceMs, stopped }).run();
    } catch (error) {
      end = { failed: EdgePlugError.from(error) };
    }
    this.finish(deployment, end);
    const board = devices.get(deployment.record.order.device);
    if (board !== undefined) await devices.look(board);
  }

  private finish(deployment: Deployment, end: RunEnd): void {
    if ("left" in end) return;
    const error = "failed" in end ? end.failed : undefined;
    if ("done" in end) deployment.succeed(toDeployResult(end.done));
    else deployment.fail(end.failed);
    this.live.delete(deployment.id);
    this.trySave(deployment);
    this.options.onEnded?.(deployment, { error });
  }

  private position(deployment: Deployment): number {
    const queue = this.queues.get(deployment.record.order.device);
    return (queue?.waiting.indexOf(deployment) ?? -1) + 1;
  }

  private tellPositions(queue: BoardQueue): void {
    const behind = queue.running?.title ?? "";
    for (const [index, waiting] of queue.waiting.entries()) {
      waiting.tell({ queued: { position: index + 1, behind } });
    }
  }

  // ---- state -------------------------------------------------------------------------------------

  /** What is over is over, also when it can't be written down now: then it is tried again until it can. */
  private trySave(deployment: Deployment): void {
    try {
      this.options.store.save(deployment.record);
      this.unsaved.delete(deployment);
    } catch (error) {
      this.options.onStateError?.(EdgePlugError.from(error));
      if (this.unsaved.has(deployment)) return;
      this.unsaved.add(deployment);
      if (this.unsaved.size === 1) void this.retrySaves();
    }
  }

  private async retrySaves(): Promise<void> {
    while (this.unsaved.size > 0 && !this.stopped.signal.aborted) {
      await pause(RETRY_SAVE_MS, this.stopped.signal);
      for (const deployment of [...this.unsaved]) this.trySave(deployment);
    }
  }
}

function unknown(id: string): EdgePlugError {
  return new EdgePlugError("DEPLOYMENT_UNKNOWN", `The gateway knows no deployment ${id}.`);
}
