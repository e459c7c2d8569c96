# SPDX-License-Identifier: MPL-2.0
# cmake -DNM=nm -DOBJECT=file -P HasCode.cmake: fails if the object of the static archive has no code that any linker can use. That is so
# when a compiler was told to leave nothing but its own form of it.
execute_process(COMMAND ${NM} --defined-only ${OBJECT} OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
if(failed OR NOT symbols MATCHES " T bfork_init")
  file(REMOVE ${OBJECT})
  message(FATAL_ERROR "the static archive would be empty: the compiler left no usual code in the objects. Take -flto (or thin LTO) out of "
    "CFLAGS; with GCC use -DBF_LTO=ON, which is the default")
endif()
