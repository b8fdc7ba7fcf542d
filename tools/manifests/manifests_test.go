// Package manifests holds the manifests in deploy to the types of Kubernetes. It is a
// module of its own, so that nobody who builds the program needs those.
package manifests

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation"
)

const deploy = "../../deploy"

// TestManifests: every manifest has fields that its type knows, and only those, and
// what a server would ask of the rest.
func TestManifests(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, batchv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	files, err := filepath.Glob(filepath.Join(deploy, "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("manifests %q, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(text, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		switch o := object.(type) {
		case *appsv1.Deployment:
			selected(t, file, o.Spec.Selector.MatchLabels, o.Spec.Template.Labels)
			checkPod(t, file, o.Name, o.Spec.Template.Spec)
		case *batchv1.Job:
			checkPod(t, file, o.Name, o.Spec.Template.Spec)
			if o.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyNever {
				t.Errorf("%s: a job's pod restarts", file)
			}
		default:
			t.Errorf("%s: unexpected %T", file, o)
		}
	}
}

func selected(t *testing.T, file string, selector, labels map[string]string) {
	t.Helper()
	if len(selector) == 0 {
		t.Errorf("%s: it selects nothing", file)
	}
	for key, value := range selector {
		if labels[key] != value {
			t.Errorf("%s: it selects pods of %s=%s, and makes ones of %q", file, key, value, labels[key])
		}
	}
}

func checkPod(t *testing.T, file, name string, pod corev1.PodSpec) {
	t.Helper()
	for _, problem := range validation.IsDNS1123Subdomain(name) {
		t.Errorf("%s: name %q: %s", file, name, problem)
	}
	for _, c := range pod.Containers {
		if c.SecurityContext == nil || !*c.SecurityContext.RunAsNonRoot || !*c.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("%s: container %s may do more than it needs", file, c.Name)
		}
		for resource, most := range c.Resources.Limits {
			if least := c.Resources.Requests[resource]; least.Cmp(most) > 0 {
				t.Errorf("%s: %s asks for more %s than it may have", file, c.Name, resource)
			}
		}
	}
}

// TestUnit: systemd takes the unit, where there is systemd to ask, with another
// program in place of the one that is not installed here.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deploy, "eventobench-agent.service"))
	if err != nil {
		t.Fatal(err)
	}
	const program = "/usr/local/bin/eventobench"
	if !bytes.Contains(text, []byte("\nExecStart="+program+" agent ")) {
		t.Error("it does not start an agent")
	}
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze to verify it")
	}
	unit := filepath.Join(t.TempDir(), "eventobench-agent.service")
	if err := os.WriteFile(unit, bytes.ReplaceAll(text, []byte(program), []byte("/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), verify, "verify", "--man=no", unit).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
