// What we read of the cluster's objects, as the API server writes them: times are RFC 3339 texts.
// A field that nothing here reads is not named; objects we send are made elsewhere, whole.

export interface Metadata {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly creationTimestamp?: string
  /** There from the moment somebody asked for its deletion. */
  readonly deletionTimestamp?: string
  readonly ownerReferences?: readonly OwnerReference[]
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
}

export interface KubernetesObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: Metadata
}

export interface Condition {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
  readonly lastTransitionTime?: string
}

export interface Container {
  readonly name: string
  readonly image?: string
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string>>
    readonly limits?: Readonly<Record<string, string>>
  }
}

export interface PodSpec {
  readonly nodeName?: string
  readonly containers: readonly Container[]
  readonly initContainers?: readonly Container[]
}

export interface Ended {
  readonly exitCode: number
  readonly reason?: string
  readonly message?: string
  readonly finishedAt?: string
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string }
  readonly running?: { readonly startedAt?: string }
  readonly terminated?: Ended
}

export interface ContainerStatus {
  readonly name: string
  readonly ready?: boolean
  readonly restartCount?: number
  readonly image?: string
  readonly imageID?: string
  readonly containerID?: string
  readonly state?: ContainerState
  readonly lastState?: ContainerState
}

export interface Pod extends KubernetesObject {
  readonly spec?: PodSpec
  readonly status?: {
    readonly phase?: string
    readonly reason?: string
    readonly message?: string
    readonly startTime?: string
    readonly conditions?: readonly Condition[]
    readonly containerStatuses?: readonly ContainerStatus[]
    readonly initContainerStatuses?: readonly ContainerStatus[]
  }
}

export interface Deployment extends KubernetesObject {
  readonly spec?: {
    readonly replicas?: number
    readonly strategy?: { readonly type?: string }
    readonly selector?: unknown
    readonly template?: { readonly metadata?: Partial<Metadata>; readonly spec?: PodSpec }
  }
  readonly status?: {
    readonly observedGeneration?: number
    readonly replicas?: number
    readonly updatedReplicas?: number
    readonly readyReplicas?: number
    readonly unavailableReplicas?: number
    readonly conditions?: readonly Condition[]
  }
}

export interface Event extends KubernetesObject {
  readonly type?: string
  readonly reason?: string
  readonly message?: string
  readonly count?: number
  readonly lastTimestamp?: string
  readonly eventTime?: string
  readonly involvedObject: { readonly kind?: string; readonly name?: string; readonly uid?: string }
}

export interface ResourceQuota extends KubernetesObject {
  readonly status?: {
    readonly hard?: Readonly<Record<string, string>>
    readonly used?: Readonly<Record<string, string>>
  }
}

export interface NetworkPolicy extends KubernetesObject {
  readonly spec?: {
    readonly podSelector?: unknown
    readonly policyTypes?: readonly string[]
    readonly ingress?: readonly unknown[]
    readonly egress?: readonly unknown[]
  }
}

export interface Service extends KubernetesObject {
  readonly spec?: {
    readonly type?: string
    readonly selector?: Readonly<Record<string, string>>
    readonly ports?: readonly ServicePort[]
  }
}

export interface ServicePort {
  readonly protocol?: string
  readonly port: number
  readonly targetPort?: number | string
}

/** What is sent; it never comes back. */
export interface Secret extends KubernetesObject {
  readonly type?: string
  /** In base64. */
  readonly data?: Readonly<Record<string, string>>
}

/** The kinds we speak of, and what each is here. Of Secrets and ConfigMaps only metadata is read. */
export interface Kinds {
  readonly deployments: Deployment
  readonly pods: Pod
  readonly events: Event
  readonly resourcequotas: ResourceQuota
  readonly secrets: Secret
  readonly configmaps: KubernetesObject
  readonly services: Service
  readonly networkpolicies: NetworkPolicy
}

export type Kind = keyof Kinds
