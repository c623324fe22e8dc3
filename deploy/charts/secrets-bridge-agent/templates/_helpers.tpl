{{- define "agent.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "agent.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "agent.labels" -}}
{{ include "agent.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | quote }}
app.kubernetes.io/component: agent
app.kubernetes.io/part-of: secrets-bridge
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "agent.serviceAccount" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "agent.name" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "agent.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (.Chart.AppVersion | replace "+" "-") }}
{{- end -}}
{{- end -}}

{{- define "agent.securityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* What the schema cannot say. */ -}}
{{- define "agent.check" -}}
{{- if and .Values.server.ca .Values.server.caFrom -}}
{{- fail "server.ca and server.caFrom are both set: write one of them" -}}
{{- end -}}
{{- if not (or .Values.server.ca .Values.server.caFrom) -}}
{{- fail "the CA of the control plane is missing: write server.ca, or server.caFrom with a configMap or a secret and its key" -}}
{{- end -}}
{{- if and .Values.kubernetes.enabled (not .Values.kubernetes.namespaces) -}}
{{- fail "kubernetes.enabled is true and kubernetes.namespaces is empty: list the namespaces that may be read" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.hub.to) -}}
{{- fail "networkPolicy.hub.to is empty: write the addresses or pods of the control plane, or set networkPolicy.enabled to false" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.kubernetes.enabled (not .Values.networkPolicy.kubernetesAPI.to) -}}
{{- fail "kubernetes.enabled is true and networkPolicy.kubernetesAPI.to is empty: write the addresses of the API server" -}}
{{- end -}}
{{- end -}}
