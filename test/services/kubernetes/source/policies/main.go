// Enforces network policies on the cluster's one node: the policy controller of kube-router, and
// nothing else of it. Its rules are iptables and ipsets of the network namespace it runs in.
package main

import (
	"context"
	"flag"
	"log"
	"sync"
	"time"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "path of the kubeconfig")
	node := flag.String("node", "", "name of the node")
	services := flag.String("services", "", "block of the addresses of services")
	flag.Parse()

	connection, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	check(err)
	client := kubernetes.NewForConfigOrDie(connection)
	waitForAddress(client, *node)

	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	forever := make(chan struct{})
	factory.Start(forever)
	factory.WaitForCacheSync(forever)

	config := options.NewKubeRouterConfig()
	config.EnableIPv4 = true
	config.HostnameOverride = *node
	config.ClusterIPCIDRs = []string{*services}
	tables, sets, err := netpol.NewIPTablesHandlers(config)
	check(err)
	controller, err := netpol.NewNetworkPolicyController(
		client, config, pods, policies, namespaces, &sync.Mutex{}, tables, sets)
	check(err)
	handle(pods, controller.PodEventHandler)
	handle(namespaces, controller.NamespaceEventHandler)
	handle(policies, controller.NetworkPolicyEventHandler)

	// The controller blocks on its heartbeat until somebody takes it.
	beats := make(chan *healthcheck.ControllerHeartbeat)
	go func() {
		for range beats {
		}
	}()
	var running sync.WaitGroup
	running.Add(1)
	controller.Run(beats, forever, &running)
}

// The controller reads it once, at its start, and the kubelet may not have told it yet.
func waitForAddress(client kubernetes.Interface, name string) {
	for {
		node, err := client.CoreV1().Nodes().Get(context.Background(), name, meta.GetOptions{})
		if err == nil && len(node.Status.Addresses) > 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func handle(informer cache.SharedIndexInformer, handler cache.ResourceEventHandler) {
	_, err := informer.AddEventHandler(handler)
	check(err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
