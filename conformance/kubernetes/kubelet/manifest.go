package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podapi "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	coreapi "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
)

const namespace = "default"

// Strict: an unknown or repeated field is an error, as with `kubectl apply --validate=strict`. Decoding applies the
// API's defaults and converts to the internal version, which is what validation works on.
var strict = serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDecoder()

// verdict is what the API server would say to an object.
type verdict struct {
	File     string   `json:"file"`
	Kind     string   `json:"kind"`
	Name     string   `json:"name"`
	Errors   []string `json:"errors"`
	Warnings []string `json:"warnings"`
}

func validateFiles(files []string) error {
	refused := 0
	for _, file := range files {
		objects, err := decode(file)
		if err != nil {
			printLine(verdict{File: file, Errors: []string{err.Error()}, Warnings: []string{}})
			refused++
			continue
		}
		for _, object := range objects {
			said := validate(object)
			said.File = file
			printLine(said)
			if len(said.Errors) > 0 {
				refused++
			}
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d refused", refused)
	}
	return nil
}

func decode(file string) ([]runtime.Object, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var objects []runtime.Object
	documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(content)))
	for {
		document := make([]byte, len(content)+1)
		n, err := documents.Read(document)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object, _, err := strict.Decode(document[:n], nil, nil)
		if err != nil {
			return nil, err
		}
		accessor := object.(meta.Object)
		if accessor.GetNamespace() == "" {
			accessor.SetNamespace(namespace)
		}
		objects = append(objects, object)
	}
}

func validate(object runtime.Object) verdict {
	var errs field.ErrorList
	warnings := []string{}
	switch object := object.(type) {
	case *apps.Deployment:
		template := &object.Spec.Template
		options := podapi.GetValidationOptionsFromPodTemplate(template, nil)
		errs = appsvalidation.ValidateDeployment(object, options)
		if len(errs) == 0 {
			errs = corevalidation.ValidatePodCreate(podFrom(object), options)
		}
		warnings = append(warnings, podapi.GetWarningsForPodTemplate(context.Background(), field.NewPath("spec", "template"), template, nil)...)
	case *coreapi.Service:
		// The API server keeps the single and the plural field alike before it validates.
		if object.Spec.ClusterIP != "" && object.Spec.ClusterIPs == nil {
			object.Spec.ClusterIPs = []string{object.Spec.ClusterIP}
		}
		errs = corevalidation.ValidateServiceCreate(object)
	case *coreapi.PersistentVolumeClaim:
		errs = corevalidation.ValidatePersistentVolumeClaim(object, corevalidation.ValidationOptionsForPersistentVolumeClaimCreate())
	case *policy.PodDisruptionBudget:
		errs = policyvalidation.ValidatePodDisruptionBudget(object, policyvalidation.PodDisruptionBudgetValidationOptions{})
	default:
		errs = field.ErrorList{field.NotSupported(field.NewPath("kind"), fmt.Sprintf("%T", object),
			[]string{"Deployment", "PersistentVolumeClaim", "PodDisruptionBudget", "Service"})}
	}
	kinds, _, err := legacyscheme.Scheme.ObjectKinds(object)
	if err != nil {
		errs = append(errs, field.InternalError(field.NewPath("kind"), err))
		kinds = append(kinds, object.GetObjectKind().GroupVersionKind())
	}
	said := verdict{Kind: kinds[0].Kind, Name: object.(meta.Object).GetName(), Errors: []string{}, Warnings: warnings}
	for _, err := range errs {
		said.Errors = append(said.Errors, err.Error())
	}
	return said
}

// podFrom makes the pod that the Deployment's controllers would create.
func podFrom(deployment *apps.Deployment) *coreapi.Pod {
	template := deployment.Spec.Template.DeepCopy()
	pod := &coreapi.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Name, pod.Namespace = deployment.Name+"-0", deployment.Namespace
	return pod
}

// podOf answers the valid pod of the only Deployment in a file, with the API's defaults.
func podOf(file string) (*core.Pod, error) {
	objects, err := decode(file)
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		deployment, isDeployment := object.(*apps.Deployment)
		if !isDeployment {
			continue
		}
		if said := validate(deployment); len(said.Errors) > 0 {
			return nil, fmt.Errorf("%s: %v", file, said.Errors)
		}
		pod := &core.Pod{}
		if err := corev1.Convert_core_Pod_To_v1_Pod(podFrom(deployment), pod, nil); err != nil {
			return nil, err
		}
		pod.UID = "6f0c9e5e-0f3c-4c9f-9d53-3d4a3e1f0b7a"
		return pod, nil
	}
	return nil, fmt.Errorf("%s has no Deployment", file)
}
