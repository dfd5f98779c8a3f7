# Deletes logs that nobody has read for a month, and says how much room that made.
param(
    [string]$Folder = "C:\Logs",
    [int]$Days = 30
)

$limit = (Get-Date).AddDays(-$Days)
$freed = 0

foreach ($file in Get-ChildItem -Path $Folder -Filter *.log -Recurse) {
    if ($file.LastWriteTime -lt $limit {
        $freed += $file.Length
        Remove-Item -Path $file.FullName -WhatIf
    }
}

$megabytes = [math]::Round($freed / 1MB, 1)
Write-Host "Freed $megabytes MB in $Folder
