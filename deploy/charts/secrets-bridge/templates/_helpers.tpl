{{- define "server.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "server.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "server.labels" -}}
{{ include "server.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | quote }}
app.kubernetes.io/component: control-plane
app.kubernetes.io/part-of: secrets-bridge
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "server.serviceAccount" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "server.name" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "server.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (.Chart.AppVersion | replace "+" "-") }}
{{- end -}}
{{- end -}}

{{- define "server.securityContext" -}}
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
{{- define "server.check" -}}
{{- if and .Values.migrate (not .Values.database.ownerSecret) -}}
{{- fail "migrate is true and database.ownerSecret is empty: name the Secret with the URL of the login that owns the schemas, or set migrate to false and run sb-server migrate yourself" -}}
{{- end -}}
{{- if and .Values.nats.keysSecret (not .Values.nats.urls) -}}
{{- fail "nats.keysSecret is set and nats.urls is empty: an embedded NATS makes its own keys" -}}
{{- end -}}
{{- if and .Values.persistence.existingClaim .Values.nats.urls -}}
{{- fail "persistence.existingClaim is set and nats.urls too: with a NATS of yours the servers keep nothing" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.egress) -}}
{{- fail "networkPolicy.egress is empty: list where Postgres, NATS and the key manager are, or set networkPolicy.enabled to false" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.enabled is true and ingress.host is empty: write the name that people come to" -}}
{{- end -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (add .Values.drainSeconds 20 | int) -}}
{{- fail "terminationGracePeriodSeconds is too short: calls under way are finished for 10 seconds after drainSeconds; add 25 to it" -}}
{{- end -}}
{{- end -}}

{{- /* The environment of every container: commands check the same settings as the server. */ -}}
{{- define "server.env" -}}
- name: SB_PROFILE
  value: production
- name: SB_DATA_DIR
  value: /var/lib/secrets-bridge
- name: SB_HTTP_ADDR
  value: 0.0.0.0:8443
- name: SB_OPS_ADDR
  value: 0.0.0.0:9090
- name: SB_LOG_LEVEL
  value: {{ .Values.log.level }}
- name: SB_LOG_FORMAT
  value: {{ .Values.log.format }}
- name: SB_DRAIN_DELAY
  value: {{ printf "%ds" (int .Values.drainSeconds) }}
- name: SB_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.secret }}
      key: {{ .Values.database.key }}
- name: SB_TLS_CERT_FILE
  value: /etc/secrets-bridge/tls/tls.crt
- name: SB_TLS_KEY_FILE
  value: /etc/secrets-bridge/tls/tls.key
- name: SB_LEAF_URLS
  value: {{ join "," .Values.leaf.urls | quote }}
- name: SB_LEAF_CA_FILE
  value: /etc/secrets-bridge/leaf-ca/{{ .Values.leaf.caFrom.key }}
{{- if .Values.nats.urls }}
- name: SB_NATS_URL
  value: {{ join "," .Values.nats.urls | quote }}
- name: SB_NATS_REPLICAS
  value: {{ .Values.nats.replicas | quote }}
{{- if .Values.nats.caFrom }}
- name: SB_NATS_CA_FILE
  value: /etc/secrets-bridge/nats-ca/{{ .Values.nats.caFrom.key }}
{{- end }}
{{- else }}
- name: SB_LEAF_ADDR
  value: 0.0.0.0:7422
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "server.mounts" -}}
- name: data
  mountPath: /var/lib/secrets-bridge
- name: tmp
  mountPath: /tmp
- name: tls
  mountPath: /etc/secrets-bridge/tls
  readOnly: true
- name: leaf-ca
  mountPath: /etc/secrets-bridge/leaf-ca
  readOnly: true
{{- if .Values.nats.caFrom }}
- name: nats-ca
  mountPath: /etc/secrets-bridge/nats-ca
  readOnly: true
{{- end }}
{{- range $name, $from := .Values.files }}
- name: file-{{ $name }}
  mountPath: /etc/secrets-bridge/files/{{ $name }}
  readOnly: true
{{- end }}
{{- if .Values.exports.existingClaim }}
- name: exports
  mountPath: /var/lib/secrets-bridge-exports
{{- end }}
{{- end -}}

{{- define "server.source" -}}
{{- if .secret -}}
secret:
  secretName: {{ .secret }}
  defaultMode: 0400
{{- else -}}
configMap:
  name: {{ .configMap }}
{{- end -}}
{{- end -}}

{{- /* All volumes but that of the data. */ -}}
{{- define "server.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
- name: tls
  secret:
    secretName: {{ .Values.tls.secret }}
    defaultMode: 0400
- name: leaf-ca
  {{- include "server.source" .Values.leaf.caFrom | nindent 2 }}
{{- with .Values.nats.caFrom }}
- name: nats-ca
  {{- include "server.source" . | nindent 2 }}
{{- end }}
{{- range $name, $from := .Values.files }}
- name: file-{{ $name }}
  {{- include "server.source" $from | nindent 2 }}
{{- end }}
{{- with .Values.exports.existingClaim }}
- name: exports
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
{{- end -}}

{{- define "server.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
# Keys have mode 0600. Other than this, each start would let the group in.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "server.placement" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
